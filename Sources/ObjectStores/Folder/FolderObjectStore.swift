package import Agent
import Glibc
import LinuxSystem

/// Objects as files of a folder, for local use and for a volume that is mounted in several pods.
///
/// Deadline: what the file system takes; nothing is tried again. Keys of which one is the folder of another (`a` and
/// `a/b`) cannot both be. `putIfAbsent` needs a file system with hard links.
package final class FolderObjectStore: ObjectStore {
    private let root: String
    private static let chunk = 1 << 20

    /// Makes the folder if it is missing, closed to others.
    ///
    /// - Throws: `ObjectStoreError` if it cannot be made.
    package init(_ folder: String) throws(ObjectStoreError) {
        root = folder
        do throws(SystemError) {
            try makeFolder(folder)
        } catch {
            throw Self.failure(error, "the folder of snapshots")
        }
    }

    package func put(_ bytes: [UInt8], as key: String) throws(ObjectStoreError) {
        try store(key) { (file) throws(SystemError) in
            try file.write(bytes)
            try file.replace()
        }
    }

    package func put(file path: String, as key: String) throws(ObjectStoreError) {
        try ObjectKey.check(key)
        let source = try LocalFile(path)
        try store(key) { (file) throws(SystemError) in
            try Self.copy(source.number, to: file, limit: .max)
            try file.replace()
        }
    }

    package func putIfAbsent(_ bytes: [UInt8], as key: String) throws(ObjectStoreError) {
        var isThere = false
        try store(key) { (file) throws(SystemError) in
            try file.write(bytes)
            do throws(SystemError) {
                try file.place()
            } catch {
                guard error.code == EEXIST else { throw error }
                isThere = true
            }
        }
        if isThere { try compare(bytes, key: key) }
    }

    /// - Throws: `exists` if the object is another than these bytes.
    private func compare(_ bytes: [UInt8], key: String) throws(ObjectStoreError) {
        let stored: [UInt8]?
        do throws(ObjectStoreError) {
            stored = try get(key, limit: bytes.count)
        } catch {
            guard error.kind == .damaged else { throw error }
            stored = nil
        }
        guard stored == bytes else {
            throw ObjectStoreError(.exists, "the object \(key) is there already, and is another's")
        }
    }

    package func get(_ key: String, limit: Int) throws(ObjectStoreError) -> [UInt8] {
        let path = try path(of: key)
        do throws(SystemError) {
            return try readFile(path, limit: limit)
        } catch {
            throw Self.failure(error, "the object \(key) (at most \(limit) bytes)")
        }
    }

    package func get(_ key: String, toFile target: String, limit: Int64) throws(ObjectStoreError) {
        let path = try path(of: key)
        do throws(SystemError) {
            // O_NONBLOCK: a FIFO in its place must not hold us up. The descriptor keeps this version whole.
            let source = Descriptor(
                adopting: try retrying("open", subject: path) { open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) })
            var status = stat()
            try retrying("fstat", subject: path) { fstat(source.number, &status) }
            guard status.st_mode & S_IFMT == S_IFREG else { throw SystemError("read", code: EISDIR, subject: path) }
            let file: NewFile
            do throws(SystemError) { file = try NewFile(target) } catch { throw LocalFile.absent(error) }
            try Self.copy(source.number, to: file, limit: limit)
            try file.replace()
        } catch {
            throw Self.failure(error, "the object \(key) to the file \(target) (at most \(limit) bytes)")
        }
    }

    package func list(_ prefix: String) throws(ObjectStoreError) -> [StoredObject] {
        try ObjectKey.checkPrefix(prefix)
        var found: [StoredObject] = []
        do throws(SystemError) {
            try collect(prefix: prefix, folder: "", into: &found)
        } catch {
            throw Self.failure(error, "the list of \(root)/\(prefix)")
        }
        return found.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    }

    /// `folder` is relative to the root, empty or with a slash at its end.
    private func collect(prefix: String, folder: String, into found: inout [StoredObject]) throws(SystemError) {
        for name in try namesInFolder(root + "/" + folder) where !name.hasPrefix(NewFile.mark) {
            let key = folder + name
            var status = stat()
            // What has gone meanwhile is not there.
            guard lstat(root + "/" + key, &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR {
                let inner = key + "/"
                guard inner.hasPrefix(prefix) || prefix.hasPrefix(inner) else { continue }
                try collect(prefix: prefix, folder: inner, into: &found)
            } else if status.st_mode & S_IFMT == S_IFREG, key.hasPrefix(prefix) {
                found.append(StoredObject(key: key, size: Int64(status.st_size)))
            }
        }
    }

    package func delete(_ key: String) throws(ObjectStoreError) {
        let path = try path(of: key)
        do throws(SystemError) {
            try retrying("unlink", subject: path) { unlink(path) }
            try NewFile.synchronizeFolder(of: path)
        } catch {
            if error.code == ENOENT || error.code == ENOTDIR { return }
            throw Self.failure(error, "the object \(key)")
        }
    }

    private func path(of key: String) throws(ObjectStoreError) -> String {
        try ObjectKey.check(key)
        return root + "/" + key
    }

    private func store(_ key: String, _ body: (NewFile) throws(SystemError) -> Void) throws(ObjectStoreError) {
        let path = try path(of: key)
        do throws(SystemError) {
            try makeFolders(of: key)
            try body(try NewFile(path))
        } catch {
            throw Self.failure(error, "the object \(key)")
        }
    }

    /// Makes the folders that the key's segments name, each on the disk before anything is put in it.
    private func makeFolders(of key: String) throws(SystemError) {
        var path = root
        for segment in key.split(separator: "/").dropLast() {
            path += "/" + segment
            if mkdir(path, 0o700) == 0 {
                try NewFile.synchronizeFolder(of: path)
            } else if errno != EEXIST {
                throw SystemError.last("mkdir", subject: path)
            }
        }
    }

    /// - Throws: `SystemError`; EFBIG if there are more than `limit` bytes.
    private static func copy(_ source: Int32, to file: NewFile, limit: Int64) throws(SystemError) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: chunk, alignment: 1)
        defer { buffer.deallocate() }
        while case .bytes(let count) = try readSome(source, into: buffer) {
            guard file.size <= limit - Int64(count) else { throw SystemError("read", code: EFBIG) }
            try file.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }

    private static func failure(_ error: SystemError, _ subject: String) -> ObjectStoreError {
        let (kind, advice): (ObjectStoreError.Kind, String) =
            switch error.code {
            case ENOENT: (.missing, "there is none")
            case EACCES, EPERM: (.forbidden, "make the folder writable for UID \(getuid())")
            case EFBIG: (.damaged, "it is larger than allowed")
            case ENOTDIR, EISDIR, EINVAL, ENAMETOOLONG, EOPNOTSUPP, EMLINK:
                (.refused, "another key is its folder, or the file system cannot hold it")
            case ENOSPC, EDQUOT: (.unavailable, "make space on the volume")
            default: (.unavailable, "look at the volume")
            }
        return ObjectStoreError(kind, "\(subject): \(error); \(advice)")
    }
}
