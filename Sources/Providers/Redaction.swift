/// Takes secrets out of texts that others have written: servers echo keys.
struct Redaction: Sendable {
    private let secrets: [String]

    init(_ secrets: [String]) { self.secrets = secrets.filter { !$0.isEmpty } }

    func clean(_ text: String) -> String {
        var text = text
        for secret in secrets { text.replace(secret, with: "[redacted]") }
        return text
    }

    /// Cleaned, on one line, and at most `limit` characters long. The cut comes last: a secret that is cut in two
    /// would not be found.
    func excerpt(_ text: String, limit: Int = 500) -> String {
        let line = clean(text).split(whereSeparator: \.isWhitespace).joined(separator: " ")
        return line.count > limit ? line.prefix(limit - 1) + "…" : line
    }
}
