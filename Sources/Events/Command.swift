/// A command to the job from outside, as it was sent.
package struct Command: Equatable, Sendable {
    package enum Kind: String, Codable, Sendable, CaseIterable {
        case task, message, pause, resume, cancel
    }

    /// The sender's, or the transport's if the sender gave none; the same command has the same one however often it
    /// comes.
    package let id: String
    package let kind: Kind
    /// Empty if there is none.
    package let text: String

    package init(id: String, kind: Kind, text: String) {
        self.id = id
        self.kind = kind
        self.text = text
    }

    /// The most that a command's body may have, in bytes.
    package static let sizeLimit = 256 << 10

    /// Reads `{"id"?, "kind", "text"?}` of at most `limit` bytes; `id` is what the transport calls it.
    ///
    /// - Throws: `CommandError` with the reason, for the log.
    package init(
        parsing body: some Collection<UInt8>, id transportID: String, limit: Int = sizeLimit
    ) throws(CommandError) {
        guard body.count <= limit else {
            throw CommandError("\(body.count) bytes, at most \(limit) are accepted")
        }
        let json: JSON
        do throws(JSONError) {
            json = try JSON(parsing: body)
        } catch {
            throw CommandError("it is not JSON")
        }
        guard json.object != nil else { throw CommandError("it is not a JSON object") }
        let kinds = Kind.allCases.map(\.rawValue).joined(separator: ", ")
        guard let word = json["kind"]?.string, let kind = Kind(rawValue: word) else {
            let given = json["kind"].map { "is \($0.text.prefix(100))" } ?? "is missing"
            throw CommandError("\"kind\" \(given); accepted: \(kinds)")
        }
        switch json["id"] {
        case nil, .null?: id = transportID
        case .string(let given)?:
            guard (1...128).contains(given.utf8.count), given.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else {
                throw CommandError("\"id\" is empty, longer than 128 bytes, or has spaces or control characters")
            }
            id = given
        case .some: throw CommandError("\"id\" is not a string")
        }
        switch json["text"] {
        case nil, .null?: text = ""
        case .string(let given)?: text = given
        case .some: throw CommandError("\"text\" is not a string")
        }
        if kind == .task || kind == .message, text.allSatisfy(\.isWhitespace) {
            throw CommandError("a \(word) without \"text\"")
        }
        self.kind = kind
    }

    /// The line for the loop, with its newline.
    package var line: String {
        JSON.object(["id": .string(id), "kind": .string(kind.rawValue), "text": .string(text)]).text + "\n"
    }
}

/// A body that is no command.
package struct CommandError: Error, Equatable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// Where commands come from.
///
/// Contract: used from one thread. A command is given again until it is acknowledged, also after a crash on either
/// side; each body that is no command is reported once and never given. Every call ends within `wait` + 5 seconds.
package protocol CommandSource {
    /// The next command; nil if none came within `wait` milliseconds. There is at most one that waits for its
    /// acknowledgement.
    ///
    /// - Throws: `SinkError` if the other side cannot be reached or refuses; the caller waits and tries again.
    mutating func next(wait: Int64) throws(SinkError) -> Incoming?
    /// Says that the last command is still being taken care of, so that it is not given again meanwhile.
    mutating func holdOn()
    /// The last command is recorded for good.
    ///
    /// - Throws: `SinkError`; the command may then come again.
    mutating func acknowledge() throws(SinkError)
}

/// What a source has for the gateway.
package enum Incoming: Equatable, Sendable {
    case command(Command)
    /// Something came that is no command; it has been put away. The text is for the log.
    case refused(String)
}
