import CCrypto

/// The SHA-256 of the text's UTF-8, by libcrypto.
func sha256Bytes(_ text: String) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: 32)
    var copy = text
    let done = copy.withUTF8 { EVP_Digest($0.baseAddress, $0.count, &digest, nil, EVP_sha256(), nil) }
    // It fails only where SHA-256 is not to be had at all, and then nothing that we do is sound.
    precondition(done == 1, "libcrypto has no SHA-256")
    return digest
}

/// The same in 64 hexadecimal digits.
func sha256(_ text: String) -> String {
    sha256Bytes(text).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
