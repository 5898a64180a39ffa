/// Takes secrets out of what is about to be kept or sent: the exact values of those that are loaded, in the forms in
/// which programs print them, and whatever has the shape of a credential.
///
/// Memory: the forms, about twelve a secret. Time: one pass over the text.
package struct Redactor: Sendable {
    package static let mark = "[redacted]"
    private static let markBytes = Array(mark.utf8)

    /// The forms by their first two bytes, longest first.
    private let forms: [UInt16: [[UInt8]]]
    /// One bit for each pair of bytes that begins a form: most of a text is passed over by this alone.
    private let begins: [UInt64]
    /// The longest form, in bytes.
    package let depth: Int

    /// - Parameters:
    ///   - secrets: values of at least 8 bytes; shorter ones are not looked for.
    ///   - textLength: the most bytes that a text will have. What is longer cannot be in it, and costs nothing then.
    package init(secrets: [String], textLength: Int = .max) {
        var forms: [UInt16: [[UInt8]]] = [:]
        var begins = [UInt64](repeating: 0, count: 1024)
        var depth = 0
        for form in Set(secrets.flatMap { SecretForms.all(of: $0, atMost: textLength) }) {
            let key = UInt16(form[0]) << 8 | UInt16(form[1])
            forms[key, default: []].append(form)
            begins[Int(key >> 6)] |= 1 << UInt64(key & 63)
            depth = max(depth, form.count)
        }
        self.forms = forms.mapValues { $0.sorted { $0.count > $1.count } }
        self.begins = begins
        self.depth = depth
    }

    /// The text without secrets.
    package func redact(_ text: String) -> String {
        let bytes = Array(text.utf8)
        let redacted = redact(bytes)
        return redacted.count == bytes.count && redacted == bytes ? text : String(decoding: redacted, as: UTF8.self)
    }

    /// The bytes without secrets; whether they are UTF-8 does not matter.
    package func redact(_ bytes: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var position = 0
        for range in merged(valueRanges(in: bytes) + TokenShapes.ranges(in: bytes)) {
            result += bytes[position..<range.lowerBound]
            result += Self.markBytes
            position = range.upperBound
        }
        return position == 0 ? bytes : result + bytes[position...]
    }

    /// How much of the beginning of `bytes`, at most `wanted`, can be cut off without cutting a secret in two, when
    /// more may follow. A secret is looked for beyond the cut as far as `depth`.
    package func safeCut(_ bytes: [UInt8], at wanted: Int) -> Int {
        let shapes = TokenShapes.ranges(in: bytes)
        for range in merged(valueRanges(in: bytes) + shapes) where range.contains(wanted - 1) || range.contains(wanted)
        {
            if range.lowerBound < wanted, wanted < range.upperBound { return range.lowerBound }
        }
        // What ends like the beginning of a form may become one.
        var start = max(0, min(wanted, bytes.count) - depth)
        while start < wanted {
            if beginsForm(bytes, at: start) { return start }
            start += 1
        }
        return wanted
    }

    /// Whether the rest of `bytes` from `start` on is a proper beginning of a form.
    private func beginsForm(_ bytes: [UInt8], at start: Int) -> Bool {
        let rest = bytes[start...]
        guard let first = rest.first else { return false }
        if rest.count == 1 { return forms.keys.contains { UInt8($0 >> 8) == first } }
        return candidates(bytes, at: start).contains { $0.count > rest.count && $0.starts(with: rest) }
    }

    private func candidates(_ bytes: [UInt8], at start: Int) -> [[UInt8]] {
        guard start + 1 < bytes.count else { return [] }
        let key = UInt16(bytes[start]) << 8 | UInt16(bytes[start + 1])
        guard begins[Int(key >> 6)] & (1 << UInt64(key & 63)) != 0 else { return [] }
        return forms[key] ?? []
    }

    private func valueRanges(in bytes: [UInt8]) -> [Range<Int>] {
        guard !forms.isEmpty else { return [] }
        var result: [Range<Int>] = []
        var position = 0
        while position + 1 < bytes.count {
            let rest = bytes[position...]
            if let form = candidates(bytes, at: position).first(where: { rest.starts(with: $0) }) {
                result.append(position..<position + form.count)
            }
            // Not to the end of the match: another secret may begin within it and reach beyond.
            position += 1
        }
        return result
    }

    private func merged(_ ranges: [Range<Int>]) -> [Range<Int>] {
        var result: [Range<Int>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = result.last, range.lowerBound <= last.upperBound {
                result[result.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
            } else {
                result.append(range)
            }
        }
        return result
    }
}
