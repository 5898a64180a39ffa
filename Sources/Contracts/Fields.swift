/// The wire form between our processes: one line of tab-separated `key=value` fields, or bare words.
///
/// Chosen because both ends are readable in a few lines of code without a parser library: PID 1 and the janitor link
/// neither Foundation nor a JSON parser. Tab, newline, backslash and NUL in a value are escaped with a backslash.
package struct Fields: Equatable, Sendable {
    /// Key and value in order; the value of a bare word is nil.
    package var entries: [(key: String, value: String?)] = []

    package init() {}

    /// Parses one line without its newline. Every line parses: an unknown escape stands for the character itself.
    package init(line: some StringProtocol) {
        // By scalars: "=" and a combining mark that begins a value are one Character, which is not "=".
        for part in String(line).unicodeScalars.split(separator: "\t", omittingEmptySubsequences: true) {
            if let mark = part.firstIndex(of: "=") {
                entries.append((String(part[..<mark]), Fields.unescaped(part[part.index(after: mark)...])))
            } else {
                entries.append((String(part), nil))
            }
        }
    }

    package static func == (left: Fields, right: Fields) -> Bool {
        left.entries.elementsEqual(right.entries) { $0.key == $1.key && $0.value == $1.value }
    }

    /// The first value of `key`.
    package subscript(key: String) -> String? {
        for entry in entries where entry.key == key { return entry.value }
        return nil
    }

    /// Whether `key` is there, with or without a value.
    package func has(_ key: String) -> Bool { entries.contains { $0.key == key } }

    package mutating func append(_ key: String, _ value: String? = nil) { entries.append((key, value)) }

    /// The line, without its newline.
    package var line: String {
        entries.map { entry in
            guard let value = entry.value else { return entry.key }
            return entry.key + "=" + Fields.escaped(value)
        }.joined(separator: "\t")
    }

    static func escaped(_ value: String) -> String {
        var result = ""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\t": result += "\\t"
            case "\n": result += "\\n"
            case "\0": result += "\\0"
            case "\\": result += "\\\\"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static func unescaped(_ value: some Sequence<Unicode.Scalar>) -> String {
        var result = String.UnicodeScalarView()
        var escaping = false
        for scalar in value {
            if escaping {
                switch scalar {
                case "t": result.append("\t")
                case "n": result.append("\n")
                case "0": result.append("\0")
                default: result.append(scalar)
                }
                escaping = false
            } else if scalar == "\\" {
                escaping = true
            } else {
                result.append(scalar)
            }
        }
        return String(result)
    }
}
