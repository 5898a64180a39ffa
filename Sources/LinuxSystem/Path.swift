import Glibc

/// The path with all symbolic links resolved, as far as it exists; the rest is kept as it is.
///
/// So a folder that is still to be made can be compared with others. Relative paths are taken from the working
/// directory. `.` and `..` in the part that does not exist are resolved by their text.
package func canonicalPath(_ path: String) -> String {
    var existing = path
    var rest: [Substring] = []
    while true {
        if let resolved = realpath(existing.isEmpty ? "." : existing, nil) {
            defer { free(resolved) }
            var parts = String(cString: resolved).split(separator: "/")
            for part in rest.reversed() where part != "." {
                if part == ".." { _ = parts.popLast() } else { parts.append(part) }
            }
            return "/" + parts.joined(separator: "/")
        }
        guard existing != "/", !existing.isEmpty else { return path }
        let parts = existing.split(separator: "/")
        guard let last = parts.last else { return path }
        rest.append(last)
        let parent = parts.dropLast().joined(separator: "/")
        existing = existing.hasPrefix("/") ? "/" + parent : parent
    }
}

/// Whether `path` is `folder` or lies in it. Both canonical.
package func isPath(_ path: String, inside folder: String) -> Bool {
    folder == "/" || path == folder || path.hasPrefix(folder + "/")
}

/// Makes a folder and its missing parents with `mode`; what already is a folder is left as it is.
///
/// - Throws: `SystemError` of mkdir(2) or stat(2); ENOTDIR if something else is in its place.
package func makeFolder(_ path: String, mode: UInt32 = 0o700) throws(SystemError) {
    var made = path.hasPrefix("/") ? "" : "."
    for part in path.split(separator: "/") {
        made += "/" + part
        if mkdir(made, mode) != 0, errno != EEXIST, errno != EISDIR {
            let error = SystemError.last("mkdir", subject: made)
            // A parent on a read-only file system that is there already says EROFS, not EEXIST.
            var status = stat()
            guard stat(made, &status) == 0 else { throw error }
        }
    }
    var status = stat()
    guard stat(path, &status) == 0 else { throw SystemError.last("stat", subject: path) }
    guard status.st_mode & S_IFMT == S_IFDIR else { throw SystemError("mkdir", code: ENOTDIR, subject: path) }
}

/// Reads a whole file of at most `limit` bytes.
///
/// - Throws: `SystemError`; EFBIG if it is larger, EISDIR or EINVAL if it is not a regular file.
package func readFile(_ path: String, limit: Int) throws(SystemError) -> [UInt8] {
    // O_NONBLOCK: a FIFO in its place must not hold us up.
    let file = Descriptor(
        adopting: try retrying("open", subject: path) { open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) })
    return try readFile(file.number, limit: limit, subject: path)
}

/// Reads the whole of an open regular file from its start, at most `limit` bytes.
package func readFile(_ descriptor: Int32, limit: Int, subject: String) throws(SystemError) -> [UInt8] {
    var status = stat()
    try retrying("fstat", subject: subject) { fstat(descriptor, &status) }
    guard status.st_mode & S_IFMT == S_IFREG else {
        throw SystemError("read", code: status.st_mode & S_IFMT == S_IFDIR ? EISDIR : EINVAL, subject: subject)
    }
    guard status.st_size <= limit else { throw SystemError("read", code: EFBIG, subject: subject) }
    let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 65536, alignment: 1)
    defer { chunk.deallocate() }
    var bytes: [UInt8] = []
    while case .bytes(let count) = try readSome(descriptor, into: chunk) {
        bytes += chunk[..<count]
        // It may have grown since fstat.
        guard bytes.count <= limit else { throw SystemError("read", code: EFBIG, subject: subject) }
    }
    return bytes
}

/// The names in a folder, sorted, without `.` and `..`.
package func namesInFolder(_ path: String) throws(SystemError) -> [String] {
    guard let folder = opendir(path) else { throw SystemError.last("opendir", subject: path) }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
            pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
}
