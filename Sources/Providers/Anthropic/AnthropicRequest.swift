package import Agent
package import Events

/// The body of a request to the Messages API.
///
/// Neither `temperature` nor `top_p` nor `top_k` is ever sent: newer models and versions refuse them.
package enum AnthropicRequest {
    /// `needsSignatures` leaves out thinking that has no signature: Anthropic refuses it, other servers want all of it
    /// back.
    package static func body(_ request: LLMRequest, needsSignatures: Bool) -> JSON {
        var messages = Conversation.messages(request.messages).compactMap { message -> (Message.Role, [JSON])? in
            var content = message.content
            if needsSignatures { content.removeAll(where: \.isUnsignedThinking) }
            // An answer that was cut while the model thought: its last block must not be thinking.
            while message.role == .assistant, content.last?.isThinking == true { content.removeLast() }
            return content.isEmpty ? nil : (message.role, content.map(block))
        }
        // Everything up to a mark is read from the cache next time: tools and system prompt, and the conversation.
        if let last = messages.lastIndex(where: { $0.0 == .user }), let end = messages[last].1.indices.last {
            messages[last].1[end] = marked(messages[last].1[end])
        }
        var body: [String: JSON] = [
            "model": .string(request.model),
            "max_tokens": .int(Int64(request.maxOutputTokens)),
            "stream": true,
            "messages": .array(
                messages.map { ["role": .string($0.0.rawValue), "content": .array($0.1)] }),
        ]
        if !request.system.isEmpty {
            body["system"] = .array([marked(["type": "text", "text": .string(request.system)])])
        }
        if !request.tools.isEmpty {
            body["tools"] = .array(
                request.tools.map {
                    [
                        "name": .string($0.name), "description": .string($0.description),
                        "input_schema": $0.inputSchema,
                    ]
                })
        }
        return .object(body)
    }

    private static func block(_ block: Block) -> JSON {
        switch block {
        case .text(let text): ["type": "text", "text": .string(text)]
        case .thinking(let text, let signature?):
            ["type": "thinking", "thinking": .string(text), "signature": .string(signature)]
        case .thinking(let text, nil): ["type": "thinking", "thinking": .string(text)]
        case .redactedThinking(let data): ["type": "redacted_thinking", "data": .string(data)]
        case .toolCall(let id, let name, let input):
            ["type": "tool_use", "id": .string(id), "name": .string(name), "input": input.asToolInput]
        case .toolResult(let id, let content, let isError):
            [
                "type": "tool_result", "tool_use_id": .string(id), "content": .string(content),
                "is_error": .bool(isError),
            ]
        }
    }

    private static func marked(_ block: JSON) -> JSON {
        guard case .object(var members) = block else { return block }
        members["cache_control"] = ["type": "ephemeral"]
        return .object(members)
    }
}

extension Block {
    fileprivate var isThinking: Bool {
        switch self {
        case .thinking, .redactedThinking: true
        default: false
        }
    }

    fileprivate var isUnsignedThinking: Bool {
        if case .thinking(_, let signature) = self { signature?.isEmpty != false } else { false }
    }
}

extension JSON {
    /// A call's input as it is sent back: both APIs want an object, also for a call whose JSON was malformed.
    var asToolInput: JSON { object != nil ? self : ["malformed_input": self] }
}
