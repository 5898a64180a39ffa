/// The status and headers of an answer.
struct HTTPHead: Equatable {
    private(set) var status = 0
    /// By lowercase name; of several with one name the last.
    private(set) var fields: [String: String] = [:]

    var isSuccess: Bool { (200..<300).contains(status) }

    subscript(name: String) -> String? { fields[name] }

    /// The provider's name for the request.
    var requestID: String? { self["request-id"] ?? self["x-request-id"] }

    /// Takes one line as libcurl gives it, line break included. A status line starts the head anew: what came before
    /// was an interim response (100, 103).
    mutating func take(line bytes: some Collection<UInt8>) {
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
    var trimmed: String {
        guard let first = firstIndex(where: { !$0.isWhitespace }), let last = lastIndex(where: { !$0.isWhitespace })
        else { return "" }
        return String(self[first...last])
    }
}
