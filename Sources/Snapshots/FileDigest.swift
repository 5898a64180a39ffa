import Glibc
import LinuxSystem
import Stores

/// A file's size and its SHA-256 in 64 hexadecimal digits, by libcrypto; read piece by piece.
struct FileDigest: Equatable {
    let size: Int64
    let sha256: String

    init(size: Int64, sha256: String) {
        self.size = size
        self.sha256 = sha256
    }

    /// - Throws: `SystemError`.
    init(of path: String) throws(SystemError) {
        let file = Descriptor(adopting: try retrying("open", subject: path) { open(path, O_RDONLY | O_CLOEXEC) })
        let hash = SHA256()
        hash.begin()
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 1)
        defer { chunk.deallocate() }
        var size: Int64 = 0
        while case .bytes(let count) = try readSome(file.number, into: chunk) {
            hash.update(UnsafeRawBufferPointer(rebasing: chunk[..<count]))
            size += Int64(count)
        }
        self.size = size
        sha256 = hash.hexadecimal()
    }
}
