/// An element of the small XML that S3 answers with, and its strict reader.
///
/// Taken: one root, elements, attributes (passed over), text, the five entities and numeric ones, a declaration and
/// comments. Anything else, a document type above all, is none. At most 8 deep and as large as what is given.
package struct XMLElement: Equatable {
    /// Without a namespace's prefix.
    package let name: String
    package private(set) var text = ""
    package private(set) var children: [XMLElement] = []

    private static let depth = 8

    private init(name: String) { self.name = name }

    /// - Returns: nil if it is not what is taken.
    package init?(parsing bytes: [UInt8]) {
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        var reader = Reader(rest: text.unicodeScalars[...])
        guard reader.prologue(), let root = reader.element(depth: Self.depth), reader.epilogue() else { return nil }
        self = root
    }

    /// The text of the first child of that name.
    package subscript(name: String) -> String? { children.first { $0.name == name }?.text }

    private struct Reader {
        var rest: Substring.UnicodeScalarView

        private mutating func take(_ word: String) -> Bool {
            guard rest.starts(with: word.unicodeScalars) else { return false }
            rest.removeFirst(word.unicodeScalars.count)
            return true
        }

        private mutating func skipSpace() {
            while let scalar = rest.first, scalar.properties.isWhitespace { rest.removeFirst() }
        }

        private mutating func take(until mark: String) -> Bool {
            while !rest.isEmpty {
                if take(mark) { return true }
                rest.removeFirst()
            }
            return false
        }

        private mutating func skipComments() -> Bool {
            skipSpace()
            while take("<!--") {
                guard take(until: "-->") else { return false }
                skipSpace()
            }
            return true
        }

        mutating func prologue() -> Bool {
            _ = take("\u{FEFF}")
            skipSpace()
            if take("<?xml"), !take(until: "?>") { return false }
            return skipComments()
        }

        mutating func epilogue() -> Bool { skipComments() && rest.isEmpty }

        private mutating func name() -> String? {
            var name = ""
            while let scalar = rest.first,
                scalar.properties.isAlphabetic || "0123456789-_.:".unicodeScalars.contains(scalar)
            {
                name.unicodeScalars.append(scalar)
                rest.removeFirst()
            }
            return name.isEmpty ? nil : name
        }

        private static func local(_ name: String) -> String { name.split(separator: ":").last.map(String.init) ?? name }

        /// - Returns: whether the tag ends the element; nil if it is none.
        private mutating func attributes() -> Bool? {
            while true {
                skipSpace()
                if take("/>") { return true }
                if take(">") { return false }
                guard name() != nil else { return nil }
                skipSpace()
                guard take("=") else { return nil }
                skipSpace()
                guard take("\"") ? take(until: "\"") : take("'") && take(until: "'") else { return nil }
            }
        }

        mutating func element(depth: Int) -> XMLElement? {
            guard depth > 0, take("<"), let full = name(), let isEmpty = attributes() else { return nil }
            var element = XMLElement(name: Self.local(full))
            if isEmpty { return element }
            while let scalar = rest.first {
                if take("<!--") {
                    guard take(until: "-->") else { return nil }
                } else if take("</") {
                    guard name() == full else { return nil }
                    skipSpace()
                    return take(">") ? element : nil
                } else if scalar == "<" {
                    guard let child = self.element(depth: depth - 1) else { return nil }
                    element.children.append(child)
                } else if scalar == "&" {
                    guard let character = entity() else { return nil }
                    element.text.unicodeScalars.append(character)
                } else {
                    element.text.unicodeScalars.append(scalar)
                    rest.removeFirst()
                }
            }
            return nil
        }

        private mutating func entity() -> Unicode.Scalar? {
            guard let end = rest.prefix(12).firstIndex(of: ";") else { return nil }
            let word = String(rest[rest.index(after: rest.startIndex)..<end])
            rest = rest[rest.index(after: end)...]
            switch word {
            case "lt": return "<"
            case "gt": return ">"
            case "amp": return "&"
            case "quot": return "\""
            case "apos": return "'"
            default:
                guard word.hasPrefix("#") else { return nil }
                let number =
                    word.hasPrefix("#x") ? UInt32(word.dropFirst(2), radix: 16) : UInt32(word.dropFirst(), radix: 10)
                return number.flatMap { $0 > 0 ? Unicode.Scalar($0) : nil }
            }
        }
    }
}
