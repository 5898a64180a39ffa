/// Bytes of HTTP/1.1, written down for a `LoopbackServer`.
package enum HTTPText {
    /// Status line and headers, with the empty line.
    package static func head(_ status: String = "200 OK", _ headers: [String] = []) -> [UInt8] {
        Array(("HTTP/1.1 \(status)\r\n" + headers.map { $0 + "\r\n" }.joined() + "\r\n").utf8)
    }

    /// A whole response with its length.
    package static func response(
        _ status: String = "200 OK", _ headers: [String] = [], body: [UInt8]
    ) -> [UInt8] {
        head(status, headers + ["content-length: \(body.count)", "connection: close"]) + body
    }

    /// The head of a stream in chunks.
    package static let chunkedHead = head("200 OK", ["content-type: text/event-stream", "transfer-encoding: chunked"])
    /// The head of a stream that ends with the connection.
    package static let openHead = head("200 OK", ["content-type: text/event-stream", "connection: close"])

    /// One chunk of a chunked body.
    package static func chunk(_ bytes: [UInt8]) -> [UInt8] {
        Array("\(String(bytes.count, radix: 16))\r\n".utf8) + bytes + Array("\r\n".utf8)
    }

    package static let lastChunk = Array("0\r\n\r\n".utf8)
}
