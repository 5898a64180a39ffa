import Agent
import Glibc
import LinuxSystem

/// Archives a project tree, which may change meanwhile, as a tar file. Everything is opened beneath the tree's root
/// and through no link; links are archived as links.
package struct ProjectArchive {
    /// What was archived, and what was not.
    package struct Outcome {
        /// For people, escaped; the first ten.
        package fileprivate(set) var remarks: [String] = []
        package fileprivate(set) var remarkCount = 0
        /// The archive was not made: the tree is larger than it may be.
        package fileprivate(set) var isTooLarge = false

        fileprivate mutating func remark(_ path: String, _ words: String) {
            remarkCount += 1
            if remarks.count < 10 { remarks.append("\(String(reflecting: path)) \(words)") }
        }
    }

    private struct TooLarge: Error {}

    private let root: String
    private let names: Set<String>
    private let paths: Set<String>

    private static let piece = 1 << 18
    /// Names that wait to be visited; a tree has them in its open folders.
    private static let pendingLimit = 1_000_000

    /// `excludes` are names, left out everywhere, and paths from `root`, which have a slash.
    package init(root: String, excludes: [String]) {
        self.root = root
        names = Set(excludes.filter { !$0.contains("/") })
        paths = Set(excludes.filter { $0.contains("/") })
    }

    /// Writes the archive to `path`, at most `limit` bytes; nothing stays there if it would be larger.
    ///
    /// What changes, disappears or cannot be read does not break the archive: it is padded or cut to the size that was
    /// announced, or left out, and remarked.
    /// - Throws: `SystemError`: the tree's root cannot be read, or the archive cannot be written.
    package func write(to path: String, limit: Int64) throws -> Outcome {
        let folder = Descriptor(
            adopting: try retrying("open", subject: root) {
                open(root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            })
        let file = Descriptor(
            adopting: try retrying("open", subject: path) {
                open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o600)
            })
        var outcome = Outcome()
        do {
            var sink = Sink(number: file.number, room: limit)
            var pending = try contents(of: folder.number, "", &outcome).reversed() as [String]
            while let path = pending.popLast() {
                guard let more = try add(path, beneath: folder.number, to: &sink, &outcome) else { continue }
                guard pending.count + more.count <= Self.pendingLimit else { throw TooLarge() }
                pending += more.reversed()
            }
            try sink.write([UInt8](repeating: 0, count: 2 * TarEntry.block))
        } catch is TooLarge {
            unlink(path)
            outcome.isTooLarge = true
        } catch {
            unlink(path)
            throw error
        }
        return outcome
    }

    /// - Returns: a folder's members; nil for anything else.
    private func add(
        _ path: String, beneath folder: Int32, to sink: inout Sink, _ outcome: inout Outcome
    ) throws -> [String]? {
        guard path.utf8.count <= TarEntry.pathLimit else {
            outcome.remark(path, "has too long a path and was left out")
            return nil
        }
        do throws(SystemError) {
            let place = try openBeneath(folder, path, openPathOnly | O_NOFOLLOW, subject: path)
            var status = stat()
            try retrying("fstat", subject: path) { fstat(place.number, &status) }
            switch status.st_mode & S_IFMT {
            case S_IFDIR:
                let opened = try openBeneath(folder, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, subject: path)
                try retrying("fstat", subject: path) { fstat(opened.number, &status) }
                let members = try contents(of: opened.number, path + "/", &outcome)
                sink.take(TarEntry(path, .folder, status).header)
                return members
            case S_IFLNK:
                var target = [UInt8](repeating: 0, count: TarEntry.pathLimit + 1)
                let count = try retrying("readlink", subject: path) {
                    Int32(readlinkat(place.number, "", &target, target.count))
                }
                guard count <= TarEntry.pathLimit,
                    let text = String(validating: target.prefix(Int(count)), as: UTF8.self)
                else {
                    outcome.remark(path, "is a link that says too much, or no UTF-8, and was left out")
                    return nil
                }
                sink.take(TarEntry(path, .link(text), status).header)
            case S_IFREG: try addFile(path, beneath: folder, to: &sink, &outcome)
            default: outcome.remark(path, "is no file, folder or link and was left out")
            }
        } catch {
            if let failure = sink.failure { throw failure }
            outcome.remark(path, "was left out: \(error)")
        }
        if let failure = sink.failure { throw failure }
        return nil
    }

    private func addFile(
        _ path: String, beneath folder: Int32, to sink: inout Sink, _ outcome: inout Outcome
    ) throws(SystemError) {
        let file = try openBeneath(folder, path, O_RDONLY | O_NOFOLLOW, subject: path)
        var status = stat()
        try retrying("fstat", subject: path) { fstat(file.number, &status) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            outcome.remark(path, "is no file any more and was left out")
            return
        }
        let size = Int64(status.st_size)
        // Before anything is read: what is too large is known from its size.
        guard sink.fits(size) else { return sink.fail(TooLarge()) }
        sink.take(TarEntry(path, .file(size: size), status).header)
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.piece, alignment: 1)
        defer { piece.deallocate() }
        var left = size
        var trouble: String?
        while left > 0, sink.failure == nil {
            let wanted = UnsafeMutableRawBufferPointer(rebasing: piece[..<Int(min(left, Int64(piece.count)))])
            var count = wanted.count
            if trouble == nil {
                do throws(SystemError) {
                    if case .bytes(let read) = try readSome(file.number, into: wanted) {
                        count = read
                    } else {
                        trouble = "became shorter while it was read: zeros stand for the rest"
                    }
                } catch {
                    trouble = "could not be read to its end (\(error)): zeros stand for the rest"
                }
            }
            if trouble != nil { wanted.initializeMemory(as: UInt8.self, repeating: 0) }
            sink.take(UnsafeRawBufferPointer(rebasing: wanted[..<count]))
            left -= Int64(count)
        }
        sink.take(TarEntry.padding(size))
        var after = stat()
        try retrying("fstat", subject: path) { fstat(file.number, &after) }
        if trouble == nil,
            after.st_size != status.st_size || after.st_mtim.tv_sec != status.st_mtim.tv_sec
                || after.st_mtim.tv_nsec != status.st_mtim.tv_nsec
        {
            trouble = "changed while it was read"
        }
        if let trouble { outcome.remark(path, trouble) }
    }

    /// The paths of a folder's members, sorted, without what is excluded.
    private func contents(
        of folder: Int32, _ prefix: String, _ outcome: inout Outcome
    ) throws(SystemError) -> [String] {
        // The reading position belongs to the open file: a descriptor of its own (dup shares it, and closedir closes).
        let own = try retrying("openat", subject: prefix) { openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard let stream = fdopendir(own) else {
            let error = SystemError.last("fdopendir", subject: prefix)
            close(own)
            throw error
        }
        defer { closedir(stream) }
        var members: [String] = []
        while let entry = readdir(stream), members.count <= Self.pendingLimit {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(validatingCString: $0) }
            }
            guard let name else {
                outcome.remark(prefix, "has a name that is no UTF-8, which was left out")
                continue
            }
            if name != ".", name != "..", !names.contains(name), !paths.contains(prefix + name) {
                members.append(prefix + name)
            }
        }
        return members.sorted()
    }

    /// The archive's file, with the room that is left in it.
    private struct Sink {
        let number: Int32
        var room: Int64
        /// Why it takes no more. Kept apart from the errors of what is archived, which break nothing.
        private(set) var failure: (any Error)?

        init(number: Int32, room: Int64) {
            self.number = number
            self.room = room
        }

        /// Room for a file with its header and the archive's end.
        func fits(_ size: Int64) -> Bool { size <= room - Int64(16 * TarEntry.block) }

        mutating func fail(_ error: any Error) { failure = failure ?? error }

        mutating func take(_ bytes: UnsafeRawBufferPointer) {
            guard failure == nil else { return }
            guard bytes.count <= room else { return fail(TooLarge()) }
            room -= Int64(bytes.count)
            do throws(SystemError) { try writeAll(number, bytes) } catch { fail(error) }
        }

        mutating func take(_ bytes: [UInt8]) {
            bytes.withUnsafeBytes { take($0) }
        }

        mutating func write(_ bytes: [UInt8]) throws {
            take(bytes)
            if let failure { throw failure }
        }
    }
}

extension TarEntry {
    fileprivate init(_ path: String, _ kind: Kind, _ status: stat) {
        self.init(
            path: path, kind: kind, mode: UInt32(status.st_mode) & 0o777, modified: Int64(status.st_mtim.tv_sec))
    }
}
