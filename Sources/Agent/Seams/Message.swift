package import Events

/// One message of the conversation with the model.
package struct Message: Codable, Equatable, Sendable {
    package enum Role: String, Codable, Sendable {
        case user, assistant
    }

    package var role: Role
    package var content: [Block]

    package init(role: Role, content: [Block]) {
        self.role = role
        self.content = content
    }
}

/// One piece of a message.
package enum Block: Equatable, Sendable {
    case text(String)
    /// The model's thinking; it is sent back unchanged, signature included.
    case thinking(text: String, signature: String?)
    /// Thinking that the provider encrypted; sent back unchanged.
    case redactedThinking(data: String)
    /// `id` is the provider's and unique only within its message.
    /// `input` is an object; if the model wrote JSON that is malformed or no object, it is the text itself as a string, for
    /// the loop to refuse.
    case toolCall(id: String, name: String, input: JSON)
    case toolResult(id: String, content: String, isError: Bool)
}

extension Block: Codable {
    private enum Key: String, CodingKey {
        case type, text, signature, data, id, name, input, content, isError = "is_error"
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        switch try container.decode(String.self, forKey: .type) {
        case "text": self = .text(try container.decode(String.self, forKey: .text))
        case "thinking":
            self = .thinking(
                text: try container.decode(String.self, forKey: .text),
                signature: try container.decodeIfPresent(String.self, forKey: .signature))
        case "redacted_thinking": self = .redactedThinking(data: try container.decode(String.self, forKey: .data))
        case "tool_call":
            self = .toolCall(
                id: try container.decode(String.self, forKey: .id),
                name: try container.decode(String.self, forKey: .name),
                input: try container.decode(JSON.self, forKey: .input))
        case "tool_result":
            self = .toolResult(
                id: try container.decode(String.self, forKey: .id),
                content: try container.decode(String.self, forKey: .content),
                isError: try container.decode(Bool.self, forKey: .isError))
        case let other:
            throw DecodingError.dataCorruptedError(
                forKey: .type, in: container, debugDescription: "unknown block type \(other)")
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        switch self {
        case .text(let text):
            try container.encode("text", forKey: .type)
            try container.encode(text, forKey: .text)
        case .thinking(let text, let signature):
            try container.encode("thinking", forKey: .type)
            try container.encode(text, forKey: .text)
            try container.encodeIfPresent(signature, forKey: .signature)
        case .redactedThinking(let data):
            try container.encode("redacted_thinking", forKey: .type)
            try container.encode(data, forKey: .data)
        case .toolCall(let id, let name, let input):
            try container.encode("tool_call", forKey: .type)
            try container.encode(id, forKey: .id)
            try container.encode(name, forKey: .name)
            try container.encode(input, forKey: .input)
        case .toolResult(let id, let content, let isError):
            try container.encode("tool_result", forKey: .type)
            try container.encode(id, forKey: .id)
            try container.encode(content, forKey: .content)
            try container.encode(isError, forKey: .isError)
        }
    }
}
