import Glibc

/// AWS Signature Version 4 in a header, as S3 has it: the path is encoded once and never normalized.
/// Source: "Authenticating Requests: Using the Authorization Header", Amazon S3 API Reference.
package struct RequestSigner {
    package let region: String
    package let service: String

    package init(region: String, service: String = "s3") {
        self.region = region
        self.service = service
    }

    /// What is signed of a request.
    package struct Request {
        package let method: String
        /// Encoded already, as it is sent.
        package let path: String
        /// Not encoded.
        package let query: [(name: String, value: String)]
        /// All that are to be signed, `host` and `x-amz-date` among them.
        package let headers: [(name: String, value: String)]
        /// The body's SHA-256 in hexadecimal.
        package let payload: String

        package init(
            method: String, path: String, query: [(name: String, value: String)],
            headers: [(name: String, value: String)], payload: String
        ) {
            self.method = method
            self.path = path
            self.query = query
            self.headers = headers
            self.payload = payload
        }
    }

    /// The value of `Authorization`. `time` is that of `x-amz-date`.
    package func authorization(_ request: Request, credentials: S3Credentials, time: String) -> String {
        let scope = [String(time.prefix(8)), region, service, "aws4_request"]
        var key = Array(("AWS4" + credentials.secretKey).utf8)
        for part in scope { key = Digest.hmac(key, part) }
        let signature = Digest.hexadecimal(Digest.hmac(key, stringToSign(request, time: time)))
        return "AWS4-HMAC-SHA256 Credential=\(credentials.keyID)/\(scope.joined(separator: "/")), "
            + "SignedHeaders=\(Self.names(request)), Signature=\(signature)"
    }

    package func stringToSign(_ request: Request, time: String) -> String {
        let digest = Digest.sha256(Array(Self.canonical(request).utf8))
        return "AWS4-HMAC-SHA256\n\(time)\n\(time.prefix(8))/\(region)/\(service)/aws4_request\n"
            + Digest.hexadecimal(digest)
    }

    package static func canonical(_ request: Request) -> String {
        let headers = sorted(request).map { "\($0.name):\($0.value)\n" }.joined()
        return
            "\(request.method)\n\(request.path)\n\(queryText(request.query))\n\(headers)\n\(names(request))\n\(request.payload)"
    }

    /// The query, encoded and in the order of its bytes. It is sent as it is signed.
    package static func queryText(_ query: [(name: String, value: String)]) -> String {
        query.map { (encode($0.name), encode($0.value)) }
            .sorted { $0.0 == $1.0 ? precedes($0.1, $1.1) : precedes($0.0, $1.0) }
            .map { "\($0.0)=\($0.1)" }.joined(separator: "&")
    }

    /// Percent-encodes all but the unreserved characters of RFC 3986; a slash only if it is no separator.
    package static func encode(_ text: String, keepsSlashes: Bool = false) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            case UInt8(ascii: "/") where keepsSlashes: result += "/"
            default: result += (byte < 16 ? "%0" : "%") + String(byte, radix: 16, uppercase: true)
            }
        }
        return result
    }

    /// `20130524T000000Z` of milliseconds since 1970.
    package static func time(_ milliseconds: Int64) -> String {
        var seconds = time_t(milliseconds / 1000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func digits(_ number: Int32, _ width: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, width - text.count)) + text
        }
        return digits(parts.tm_year + 1900, 4) + digits(parts.tm_mon + 1, 2) + digits(parts.tm_mday, 2) + "T"
            + digits(parts.tm_hour, 2) + digits(parts.tm_min, 2) + digits(parts.tm_sec, 2) + "Z"
    }

    private static func sorted(_ request: Request) -> [(name: String, value: String)] {
        request.headers.map { header in
            // White space at the ends goes, and several in a row are one.
            (header.name.lowercased(), header.value.split(separator: " ").joined(separator: " "))
        }.sorted { precedes($0.name, $1.name) }
    }

    private static func names(_ request: Request) -> String { sorted(request).map(\.name).joined(separator: ";") }

    private static func precedes(_ left: String, _ right: String) -> Bool {
        left.utf8.lexicographicallyPrecedes(right.utf8)
    }
}
