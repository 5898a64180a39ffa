import Glibc
package import LinuxSystem

/// The project tree as the loop itself reaches into it, outside the jail.
///
/// A command may have put anything there: links that lead out, FIFOs, devices. Every path is therefore opened by
/// openat2(2) with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS, without blocking, and must be a regular file. Nothing
/// outside the jail ever executes a file of it.
package final class ProjectTree {
    package let path: String
    private let root: Descriptor

    /// - Throws: `SystemError` if the folder cannot be opened.
    package init(path: String) throws(SystemError) {
        self.path = path
        root = Descriptor(
            adopting: try retrying("open", subject: path) { open(path, openPathOnly | O_DIRECTORY | O_CLOEXEC) })
    }

    /// The path within the tree: relative ones as they are, absolute ones if they name the tree.
    private func relative(_ name: String) -> String {
        let inside = name.hasPrefix(path + "/") ? String(name.dropFirst(path.count + 1)) : name
        return inside.isEmpty || inside == path ? "." : inside
    }

    private func beneath(_ name: String, _ flags: Int32) throws(SystemError) -> Descriptor {
        try openBeneath(root.number, relative(name), flags, subject: name)
    }

    /// Whether the path is a regular file or a folder of the tree.
    package func exists(_ name: String) -> Bool {
        guard let file = try? beneath(name, openPathOnly) else { return false }
        var status = stat()
        guard fstat(file.number, &status) == 0 else { return false }
        return status.st_mode & S_IFMT == S_IFREG || status.st_mode & S_IFMT == S_IFDIR
    }

    /// Reads a whole regular file of at most `limit` bytes.
    ///
    /// - Throws: `SystemError`: EXDEV if the path leads out of the tree, ELOOP if a part of it is a link, EFBIG.
    package func read(_ name: String, limit: Int) throws(SystemError) -> [UInt8] {
        let file = try beneath(name, O_RDONLY)
        return try readFile(file.number, limit: limit, subject: name)
    }

    /// The regular files that were changed at or after `time` (milliseconds since 1970), at most `limit` of them.
    ///
    /// A look, not a proof: it stops after 20,000 entries, passes over `.git`, and follows no link.
    package func changed(since time: Int64, limit: Int) -> [String] {
        // A file's time is that of the kernel's last tick, up to 10 ms (CONFIG_HZ=100) behind the clock: what a command
        // wrote at once would pass for older than the command.
        let since = time - 10
        var result: [String] = []
        var entries = 0
        var pending = [""]
        while let folder = pending.popLast(), result.count < limit {
            for name in (try? namesInFolder(path + "/" + folder)) ?? [] where name != ".git" {
                entries += 1
                guard entries <= 20000, result.count < limit else { return result }
                let inside = folder.isEmpty ? name : folder + "/" + name
                var status = stat()
                guard lstat(path + "/" + inside, &status) == 0 else { continue }
                if status.st_mode & S_IFMT == S_IFDIR {
                    pending.append(inside)
                } else if status.st_mode & S_IFMT == S_IFREG,
                    Int64(status.st_mtim.tv_sec) * 1000 + Int64(status.st_mtim.tv_nsec) / 1_000_000 >= since
                {
                    result.append(inside)
                }
            }
        }
        return result
    }

    /// Replaces or makes a file in one step, and the folders above it: a reader sees the old or the new content.
    ///
    /// A crash leaves at most a file named `.agent-init-…` behind, which the next write of that name replaces.
    /// - Throws: `SystemError`, as `read`; ENOSPC and EDQUOT if there is no room.
    package func write(_ name: String, _ content: [UInt8]) throws(SystemError) {
        guard !relative(name).hasPrefix("/") else { throw SystemError("open", code: EXDEV, subject: name) }
        var parts = relative(name).split(separator: "/", omittingEmptySubsequences: true).map(String.init)
        guard let last = parts.popLast(), last != ".", last != ".." else {
            throw SystemError("open", code: EISDIR, subject: name)
        }
        let folder = try self.folder(parts, subject: name)
        var mode: mode_t = 0o644
        var status = stat()
        if fstatat(folder.number, last, &status, AT_SYMLINK_NOFOLLOW) == 0 {
            guard status.st_mode & S_IFMT == S_IFREG else {
                throw SystemError(
                    "open", code: status.st_mode & S_IFMT == S_IFLNK ? ELOOP : EISDIR, subject: name)
            }
            mode = status.st_mode & 0o777
        }
        let temporary = ".agent-init-" + String(last.prefix(200))
        _ = unlinkat(folder.number, temporary, 0)
        let file = Descriptor(
            adopting: try retrying("open", subject: name) {
                openat(folder.number, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
            })
        do throws(SystemError) {
            try writeAll(file.number, content)
            try retrying("fchmod", subject: name) { fchmod(file.number, mode) }
            try retrying("fsync", subject: name) { fsync(file.number) }
            try retrying("rename", subject: name) { renameat(folder.number, temporary, folder.number, last) }
        } catch {
            _ = unlinkat(folder.number, temporary, 0)
            throw error
        }
    }

    /// Opens the folder of those parts, and makes what is missing.
    private func folder(_ parts: [String], subject: String) throws(SystemError) -> Descriptor {
        var current = try beneath(".", O_RDONLY | O_DIRECTORY)
        for part in parts {
            if mkdirat(current.number, part, 0o755) != 0, errno != EEXIST {
                throw SystemError.last("mkdir", subject: subject)
            }
            current = try openBeneath(current.number, part, O_RDONLY | O_DIRECTORY, subject: subject)
        }
        return current
    }
}

/// The kernel's refusal of a path, in words for the model.
func explain(_ error: SystemError) -> String {
    switch error.code {
    case ENOENT: "\(error.subject) does not exist."
    case EXDEV: "\(error.subject) leads out of the project tree; only files inside it can be reached."
    case ELOOP: "\(error.subject) is a symbolic link or passes through one; name the file itself."
    case EISDIR: "\(error.subject) is a folder, not a file."
    case EINVAL: "\(error.subject) is not a regular file."
    case EFBIG: "\(error.subject) is too large for this tool; use execute with head, tail, sed or grep."
    default: "\(error.subject): \(error.reason)."
    }
}
