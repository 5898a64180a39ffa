import CCrypto

/// SHA-256 by libcrypto, one digest after the other.
///
/// One context for all: to look SHA-256 up among libcrypto's providers, as each `EVP_Digest` does, costs more than the digest
/// of a short row (openssl-core's crypto(7), "Performance").
package final class SHA256 {
    private let context = EVP_MD_CTX_new()
    private let digest = UnsafeMutableRawBufferPointer.allocate(byteCount: 32, alignment: 8)
    private var isPrepared = false

    package init() {}

    deinit {
        EVP_MD_CTX_free(context)
        digest.deallocate()
    }

    /// Begins the next digest.
    package func begin() {
        // It fails only where SHA-256 is not to be had at all, and then nothing that we do is sound.
        precondition(
            EVP_DigestInit_ex(context, isPrepared ? nil : EVP_sha256(), nil) == 1, "libcrypto has no SHA-256")
        isPrepared = true
    }

    package func update(_ bytes: UnsafeRawBufferPointer) {
        precondition(EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1, "libcrypto's SHA-256 fails")
    }

    /// The digest of all since `begin`: 32 bytes, which are valid within `body`.
    package func finish<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        precondition(
            EVP_DigestFinal_ex(context, digest.assumingMemoryBound(to: UInt8.self).baseAddress, nil) == 1,
            "libcrypto's SHA-256 fails")
        return body(UnsafeRawBufferPointer(digest))
    }
}

extension SHA256 {
    /// The digest of all since `begin` in 64 hexadecimal digits.
    package func hexadecimal() -> String {
        finish { $0.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
    }
}

/// The SHA-256 of the text's UTF-8 in 64 hexadecimal digits.
func sha256(_ text: String) -> String {
    let hash = SHA256()
    hash.begin()
    var copy = text
    copy.withUTF8 { hash.update(UnsafeRawBufferPointer($0)) }
    return hash.hexadecimal()
}
