import CCrypto
import Glibc
import LinuxSystem

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
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        // It fails only where SHA-256 is not to be had at all, and then nothing that we do is sound.
        precondition(EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1, "libcrypto has no SHA-256")
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 1)
        defer { chunk.deallocate() }
        var size: Int64 = 0
        while case .bytes(let count) = try readSome(file.number, into: chunk) {
            EVP_DigestUpdate(context, chunk.baseAddress, count)
            size += Int64(count)
        }
        var digest = [UInt8](repeating: 0, count: 32)
        EVP_DigestFinal_ex(context, &digest, nil)
        self.size = size
        sha256 = digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
