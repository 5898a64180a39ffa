import CCrypto

/// SHA-256 and HMAC-SHA-256, by libcrypto; never our own.
///
/// They fail only where SHA-256 is not to be had at all, and then nothing that we do is sound.
package final class Digest {
    private let context: OpaquePointer?

    package init() {
        context = EVP_MD_CTX_new()
        precondition(EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1, "libcrypto has no SHA-256")
    }

    deinit { EVP_MD_CTX_free(context) }

    package func update(_ bytes: UnsafeRawBufferPointer) {
        precondition(EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1, "libcrypto's SHA-256 fails")
    }

    /// The digest of all that was given; nothing may be given after.
    package func finish() -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        precondition(EVP_DigestFinal_ex(context, &digest, nil) == 1, "libcrypto's SHA-256 fails")
        return digest
    }

    package static func sha256(_ bytes: [UInt8]) -> [UInt8] {
        let digest = Digest()
        bytes.withUnsafeBytes(digest.update)
        return digest.finish()
    }

    static func hmac(_ key: [UInt8], _ text: String) -> [UInt8] {
        var code = [UInt8](repeating: 0, count: 32)
        let bytes = Array(text.utf8)
        let done = HMAC(EVP_sha256(), key, Int32(key.count), bytes, bytes.count, &code, nil)
        precondition(done != nil, "libcrypto has no HMAC-SHA-256")
        return code
    }

    package static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    static func base64(_ bytes: [UInt8]) -> String {
        // Four letters for three bytes begun, and a NUL (EVP_EncodeInit(3)).
        var text = [UInt8](repeating: 0, count: (bytes.count + 2) / 3 * 4 + 1)
        let count = EVP_EncodeBlock(&text, bytes, Int32(bytes.count))
        return String(decoding: text.prefix(Int(count)), as: UTF8.self)
    }
}
