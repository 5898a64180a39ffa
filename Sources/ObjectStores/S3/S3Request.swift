import HTTP

/// A signed request, ready to be sent.
struct S3Request {
    let method: String
    let url: String
    /// Header lines as libcurl takes them.
    let lines: [String]
    let body: S3Body?
}

/// Where a bucket is: how its URLs are made.
package struct S3Place: Equatable {
    /// Metadata of an object: its SHA-256 in hexadecimal.
    static let digestField = "x-amz-meta-sha256"

    let scheme: String
    /// With the port, if it is not the scheme's own: what libcurl sends as `Host`, and what is signed.
    package let host: String
    /// What stands before every key, begun and ended with a slash.
    package let base: String

    /// Without an endpoint it is AWS. There the bucket is a part of the host, except with a dot in its name, for
    ///   which the certificate of AWS does not stand; anywhere else it is the first part of the path.
    package init(bucket: String, endpoint: String?, region: String) {
        if let endpoint {
            let isSecure = endpoint.hasPrefix("https://")
            scheme = isSecure ? "https://" : "http://"
            let authority = String(endpoint.dropFirst(scheme.count))
            let standard = isSecure ? ":443" : ":80"
            host = authority.hasSuffix(standard) ? String(authority.dropLast(standard.count)) : authority
            base = "/\(bucket)/"
        } else {
            scheme = "https://"
            let domain = "s3.\(region).amazonaws.com" + (region.hasPrefix("cn-") ? ".cn" : "")
            host = bucket.contains(".") ? domain : "\(bucket).\(domain)"
            base = bucket.contains(".") ? "/\(bucket)/" : "/"
        }
    }

    /// A request, signed. `key` is the whole of it, with the prefix; empty is the bucket. `now` is in milliseconds since
    /// 1970, by the store's clock.
    func request(
        _ method: String, key: String, query: [(name: String, value: String)] = [],
        headers more: [(name: String, value: String)] = [], body: S3Body? = nil, signer: RequestSigner,
        credentials: S3Credentials, now: Int64
    ) -> S3Request {
        let path = RequestSigner.encode(base + key, keepsSlashes: true)
        let time = RequestSigner.time(now)
        let payload = Digest.hexadecimal(body?.digest ?? Digest.sha256([]))
        var headers = more
        headers += [("host", host), ("x-amz-content-sha256", payload), ("x-amz-date", time)]
        if let body {
            headers.append(("x-amz-checksum-sha256", Digest.base64(body.digest)))
            // Every store gives metadata back; not every one the checksum.
            headers.append((Self.digestField, payload))
        }
        if let token = credentials.token { headers.append(("x-amz-security-token", token)) }
        let authorization = signer.authorization(
            RequestSigner.Request(method: method, path: path, query: query, headers: headers, payload: payload),
            credentials: credentials, time: time)
        let text = RequestSigner.queryText(query)
        return S3Request(
            method: method, url: scheme + host + path + (text.isEmpty ? "" : "?" + text),
            lines: headers.map { "\($0.name): \($0.value)" } + ["authorization: " + authorization], body: body)
    }
}
