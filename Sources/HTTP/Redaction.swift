/// Takes secrets out of texts that others have written: servers echo keys.
package struct Redaction: Sendable {
    private let secrets: [String]

    /// Empty ones are passed over.
    package init(_ secrets: [String]) { self.secrets = secrets.filter { !$0.isEmpty } }

    /// The text with every secret replaced.
    package func clean(_ text: String) -> String {
        var text = text
        for secret in secrets { text.replace(secret, with: "[redacted]") }
        return text
    }

    /// Cleaned, on one line, and at most `limit` characters long. The cut comes last: a secret that is cut in two
    /// would not be found.
    package func excerpt(_ text: String, limit: Int = 500) -> String {
        let line = clean(text).split(whereSeparator: \.isWhitespace).joined(separator: " ")
        return line.count > limit ? line.prefix(limit - 1) + "…" : line
    }
}
