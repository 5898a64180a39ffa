package import Events

/// A tool's input, read with errors that the model can act on.
package struct ToolInput: Sendable {
    private let members: [String: JSON]

    /// Bytes. What goes with a word on a command line has room beside it.
    private static let longestWord = 100_000

    /// - Throws: `ToolFailure.refused` if it is not an object: its JSON was malformed.
    package init(_ json: JSON) throws(ToolFailure) {
        guard let members = json.object else {
            throw .refused(ToolRefusal("The input is not a JSON object: \(json.text.prefix(200))"))
        }
        self.members = members
    }

    /// A string that must be there and not be empty.
    func text(_ name: String) throws(ToolFailure) -> String {
        guard let text = try optionalText(name) else { throw missing(name, "a string") }
        return text
    }

    /// A string that may be empty but must be there.
    func anyText(_ name: String) throws(ToolFailure) -> String {
        guard let value = members[name]?.string else { throw missing(name, "a string") }
        return value
    }

    /// A string, nil if it is not there, null or empty.
    func optionalText(_ name: String) throws(ToolFailure) -> String? {
        guard let value = members[name], !value.isNull else { return nil }
        guard let text = value.string else { throw wrong(name, "a string") }
        return text.isEmpty ? nil : text
    }

    /// A word of a command line: not longer than the kernel takes one (MAX_ARG_STRLEN, 128 KiB), and without the NUL byte
    /// at which it would end.
    func word(_ name: String) throws(ToolFailure) -> String {
        guard let word = try optionalWord(name) else { throw missing(name, "a string") }
        return word
    }

    /// A word of a command line, nil if it is not there, null or empty.
    func optionalWord(_ name: String) throws(ToolFailure) -> String? {
        let text = try optionalText(name)
        guard let text, text.utf8.count > Self.longestWord || text.utf8.contains(0) else { return text }
        throw .refused(ToolRefusal("The input \"\(name)\" is longer than 100,000 bytes or has a NUL byte."))
    }

    func number(_ name: String, _ range: ClosedRange<Int>, default standard: Int) throws(ToolFailure) -> Int {
        guard let value = members[name], !value.isNull else { return standard }
        guard let number = value.int, range.contains(number) else {
            throw wrong(name, "a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func flag(_ name: String) throws(ToolFailure) -> Bool {
        guard let value = members[name], !value.isNull else { return false }
        guard let flag = value.bool else { throw wrong(name, "true or false") }
        return flag
    }

    func list(_ name: String) throws(ToolFailure) -> [JSON] {
        guard let list = members[name]?.array else { throw missing(name, "a list") }
        return list
    }

    private func missing(_ name: String, _ accepted: String) -> ToolFailure {
        members[name] == nil
            ? .refused(ToolRefusal("The input \"\(name)\" is missing; it is \(accepted).")) : wrong(name, accepted)
    }

    private func wrong(_ name: String, _ accepted: String) -> ToolFailure {
        .refused(
            ToolRefusal("The input \"\(name)\" is \(members[name]?.text.prefix(100) ?? ""); \(accepted) is wanted."))
    }
}

/// A tool's input schema, put together.
func schema(_ properties: [String: JSON], required: [String]) -> JSON {
    ["type": "object", "properties": .object(properties), "required": .array(required.map { .string($0) })]
}

/// One property of a schema.
func property(_ type: String, _ description: String) -> JSON {
    ["type": .string(type), "description": .string(description)]
}
