import Agent
import Glibc
import LinuxSystem

/// Extracts an archive that is not trusted into an empty folder, never outside it: each member is opened beneath it
/// and through no link (openat2), and made, never replaced. Only files, folders and links are made.
package struct ProjectExtraction: ~Copyable {
    private let root: Descriptor
    /// The folders that the present member stands in. They get their mode and time when they are left: a member made
    /// in one would change its time, and a folder that may not be written takes none.
    private var open: [TarEntry] = []

    /// - Throws: `SystemError`.
    package init(into folder: String) throws {
        root = Descriptor(
            adopting: try retrying("open", subject: folder) {
                Glibc.open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            })
    }

    /// - Throws: `ObjectStoreError(.damaged)`: the archive has what an archive of ours has not; `SystemError`.
    package mutating func run(_ archive: String) throws {
        var reader = TarReader(
            Descriptor(
                adopting: try retrying("open", subject: archive) {
                    Glibc.open(archive, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
                }))
        while let entry = try reader.next() {
            try leave(to: entry.path)
            do throws(SystemError) {
                try make(entry)
            } catch {
                // A member that is there twice, under a link, under a file, or in a folder that is not there.
                guard [EEXIST, ELOOP, ENOTDIR, ENOENT, EXDEV, ENAMETOOLONG, EINVAL].contains(error.code) else {
                    throw error
                }
                throw tarDamage("\(error)")
            }
            guard case .file = entry.kind else { continue }
            let file = try openBeneath(
                root.number, entry.path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600, subject: entry.path)
            try reader.content { try writeAll(file.number, $0) }
            try finish(entry, file.number)
        }
        try leave(to: "")
    }

    private mutating func make(_ entry: TarEntry) throws(SystemError) {
        let slash = entry.path.utf8.lastIndex(of: UInt8(ascii: "/"))
        let name = slash.map { String(entry.path[entry.path.utf8.index(after: $0)...]) } ?? entry.path
        let parent = try openBeneath(
            root.number, slash.map { String(entry.path[..<$0]) } ?? ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
            subject: entry.path)
        switch entry.kind {
        case .folder:
            try retrying("mkdir", subject: entry.path) { mkdirat(parent.number, name, 0o700) }
            open.append(entry)
        case .link(let target):
            try retrying("symlink", subject: entry.path) { symlinkat(target, parent.number, name) }
            var times = Self.times(entry)
            _ = utimensat(parent.number, name, &times, AT_SYMLINK_NOFOLLOW)
        case .file:
            // Opened by `run`, which has the content; here only what would be in its way is found.
            if faccessat(parent.number, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 {
                throw SystemError("open", code: EEXIST, subject: entry.path)
            }
        }
    }

    private mutating func leave(to path: String) throws {
        while let last = open.last, !path.hasPrefix(last.path + "/") {
            open.removeLast()
            let folder = try openBeneath(
                root.number, last.path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, subject: last.path)
            try finish(last, folder.number)
        }
    }

    private func finish(_ entry: TarEntry, _ descriptor: Int32) throws {
        var times = Self.times(entry)
        try retrying("futimens", subject: entry.path) { futimens(descriptor, &times) }
        try retrying("fchmod", subject: entry.path) { fchmod(descriptor, entry.mode & 0o777) }
    }

    private static func times(_ entry: TarEntry) -> [timespec] {
        [timespec](repeating: timespec(tv_sec: Int(entry.modified), tv_nsec: 0), count: 2)
    }
}
