/// Finds what looks like a credential, whoever's it is.
///
/// Simple scanners over bytes: each is anchored at a literal, so a text without one costs a single pass.
enum TokenShapes {
    /// What may be a token, in order and without overlap.
    static func ranges(in text: [UInt8]) -> [Range<Int>] {
        var result: [Range<Int>] = []
        var position = 0
        while position < text.count {
            if let range = match(text, at: position), !range.isEmpty {
                result.append(range)
                position = max(range.upperBound, position + 1)
            } else {
                position += 1
            }
        }
        return result
    }

    /// The secret part of a shape that begins at `start`.
    private static func match(_ text: [UInt8], at start: Int) -> Range<Int>? {
        switch text[start] {
        case UInt8(ascii: "-"): pem(text, at: start)
        case UInt8(ascii: ":"): urlPassword(text, at: start)
        case UInt8(ascii: "A"), UInt8(ascii: "a"): authorization(text, at: start) ?? token(text, at: start)
        case UInt8(ascii: "e"): jsonWebToken(text, at: start)
        case UInt8(ascii: "g"), UInt8(ascii: "s"), UInt8(ascii: "x"): token(text, at: start)
        default: nil
        }
    }

    // MARK: Tokens with a known beginning

    private struct Prefix {
        let text: [UInt8]
        /// Bytes that must follow, and which.
        let least: Int
        let isAllowed: @Sendable (UInt8) -> Bool

        init(_ text: String, _ least: Int, _ isAllowed: @escaping @Sendable (UInt8) -> Bool) {
            self.text = Array(text.utf8)
            self.least = least
            self.isAllowed = isAllowed
        }
    }

    private static let prefixes: [Prefix] =
        [
            Prefix("AKIA", 16, isUpperOrDigit), Prefix("ASIA", 16, isUpperOrDigit), Prefix("AIza", 35, isURLBase64),
            Prefix("github_pat_", 20, isWord), Prefix("glpat-", 16, isURLBase64), Prefix("sk-ant-", 10, isURLBase64),
            Prefix("sk-", 20, isURLBase64),
        ] + ["p", "o", "u", "s", "r"].map { Prefix("gh\($0)_", 20, isWord) }
        + ["b", "a", "p", "r", "s"].map { Prefix("xox\($0)-", 10, isURLBase64) }

    private static func token(_ text: [UInt8], at start: Int) -> Range<Int>? {
        // "task-…" does not begin with "sk-".
        guard start == 0 || !isAlphanumeric(text[start - 1]) else { return nil }
        for prefix in prefixes where has(text, prefix.text, at: start) {
            let body = start + prefix.text.count
            let end = run(text, from: body, prefix.isAllowed)
            guard end - body >= prefix.least else { continue }
            // Words joined by hyphens are no key; a key of this length has a digit but for one in a million.
            guard text[body..<end].contains(where: isDigit) else { continue }
            return start..<end
        }
        return nil
    }

    private static func jsonWebToken(_ text: [UInt8], at start: Int) -> Range<Int>? {
        let mark = Array("eyJ".utf8)
        guard has(text, mark, at: start), start == 0 || !isAlphanumeric(text[start - 1]) else { return nil }
        let header = run(text, from: start, isURLBase64)
        guard header < text.count, text[header] == UInt8(ascii: "."), has(text, mark, at: header + 1) else {
            return nil
        }
        var end = run(text, from: header + 1, isURLBase64)
        if end < text.count, text[end] == UInt8(ascii: ".") { end = run(text, from: end + 1, isURLBase64) }
        return start..<end
    }

    // MARK: Places where a secret stands

    /// The password in `scheme://user:password@host`.
    private static func urlPassword(_ text: [UInt8], at start: Int) -> Range<Int>? {
        guard has(text, Array("://".utf8), at: start) else { return nil }
        let user = run(text, from: start + 3) { isUserInfo($0) && $0 != UInt8(ascii: ":") }
        guard user < text.count else { return nil }
        // A token may stand alone in front of the @.
        if text[user] == UInt8(ascii: "@") { return user - start - 3 >= 16 ? start + 3..<user : nil }
        guard text[user] == UInt8(ascii: ":") else { return nil }
        let end = run(text, from: user + 1, isUserInfo)
        guard end < text.count, text[end] == UInt8(ascii: "@"), end > user + 1 else { return nil }
        return user + 1..<end
    }

    /// The value of an `Authorization` header, also in JSON and in shell quotes.
    private static func authorization(_ text: [UInt8], at start: Int) -> Range<Int>? {
        let name = Array("authorization".utf8)
        guard text.count - start > name.count else { return nil }
        for (offset, letter) in name.enumerated() where text[start + offset] | 0x20 != letter { return nil }
        var position = run(text, from: start + name.count) { isQuote($0) || isBlank($0) }
        guard position < text.count, text[position] == UInt8(ascii: ":") || text[position] == UInt8(ascii: "=") else {
            return nil
        }
        position = run(text, from: position + 1) { isQuote($0) || isBlank($0) }
        let end = run(text, from: position) { !isQuote($0) && $0 != 0x0a && $0 != 0x0d }
        return end > position ? position..<end : nil
    }

    /// A private key in PEM, to its end or to the text's.
    private static func pem(_ text: [UInt8], at start: Int) -> Range<Int>? {
        guard has(text, Array("-----BEGIN ".utf8), at: start) else { return nil }
        let kind = run(text, from: start + 11) { isUpperOrDigit($0) || isBlank($0) }
        guard text[..<kind].suffix(11).elementsEqual("PRIVATE KEY".utf8) else { return nil }
        let mark = Array("-----END ".utf8)
        var end = kind
        while end < text.count, !has(text, mark, at: end) { end += 1 }
        guard end < text.count else { return start..<text.count }
        end = run(text, from: end + mark.count) { isUpperOrDigit($0) || isBlank($0) }
        return start..<run(text, from: end) { $0 == UInt8(ascii: "-") }
    }

    // MARK: Bytes

    private static func has(_ text: [UInt8], _ part: [UInt8], at start: Int) -> Bool {
        start + part.count <= text.count && text[start..<start + part.count].elementsEqual(part)
    }

    private static func run(_ text: [UInt8], from start: Int, _ isAllowed: (UInt8) -> Bool) -> Int {
        var end = start
        while end < text.count, isAllowed(text[end]) { end += 1 }
        return end
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    private static func isAlphanumeric(_ byte: UInt8) -> Bool { isDigit(byte) || (0x61...0x7a).contains(byte | 0x20) }
    private static func isUpperOrDigit(_ byte: UInt8) -> Bool { isDigit(byte) || (0x41...0x5a).contains(byte) }
    private static func isWord(_ byte: UInt8) -> Bool { isAlphanumeric(byte) || byte == UInt8(ascii: "_") }
    private static func isURLBase64(_ byte: UInt8) -> Bool { isWord(byte) || byte == UInt8(ascii: "-") }
    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
    private static func isQuote(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\\")
    }
    private static func isUserInfo(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte != 0x7f && !isQuote(byte) && !"/@?#<>".utf8.contains(byte)
    }
}
