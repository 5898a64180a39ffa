/// The status and headers of an answer.
package struct HTTPHead: Equatable, Sendable {
    /// 0 as long as there is no status line.
    package private(set) var status = 0
    /// By lowercase name; of several with one name the last.
    package private(set) var fields: [String: String] = [:]

    package init() {}

    package var isSuccess: Bool { (200..<300).contains(status) }

    /// By lowercase name.
    package subscript(name: String) -> String? { fields[name] }

    /// The provider's name for the request.
    package var requestID: String? { self["request-id"] ?? self["x-request-id"] }

    /// Takes one line as libcurl gives it, line break included. A status line starts the head anew: what came before
    /// was an interim response (100, 103).
    package mutating func take(line bytes: some Collection<UInt8>) {
        let line = String(decoding: bytes, as: UTF8.self).trimmed
        if line.hasPrefix("HTTP/") {
            let words = line.split(separator: " ", maxSplits: 2)
            status = words.count > 1 ? Int(words[1]) ?? 0 : 0
            fields = [:]
        } else if let colon = line.firstIndex(of: ":") {
            fields[line[..<colon].lowercased()] = String(line[line.index(after: colon)...]).trimmed
        }
    }
}

extension StringProtocol {
    /// Without white space at both ends.
    package var trimmed: String {
        guard let first = firstIndex(where: { !$0.isWhitespace }), let last = lastIndex(where: { !$0.isWhitespace })
        else { return "" }
        return String(self[first...last])
    }
}
