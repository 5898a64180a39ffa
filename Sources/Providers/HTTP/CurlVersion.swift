import CCurl

/// The version of the libcurl that this process has loaded, with its TLS library.
package var curlVersion: String {
    // "libcurl/7.88.1 OpenSSL/3.0.17 zlib/…": the first two are ours to care for.
    let words = curl_version().map { String(cString: $0) }?.split(separator: " ").prefix(2) ?? []
    return words.map { $0.split(separator: "/").joined(separator: " ") }.joined(separator: ", ")
}
