package import Agent
package import Events

/// The body of a request to the Chat Completions API.
package enum OpenAIRequest {
    /// `isOpenAI` is OpenAI itself, whose newer models know only `max_completion_tokens`; most other servers know only
    /// `max_tokens`. Other servers also want reasoning back; OpenAI never sends any here.
    package static func body(_ request: LLMRequest, isOpenAI: Bool) -> JSON {
        var messages: [JSON] = []
        if !request.system.isEmpty { messages.append(["role": "system", "content": .string(request.system)]) }
        for message in Conversation.messages(request.messages) {
            switch message.role {
            case .user: messages += user(message.content)
            case .assistant: messages.append(assistant(message.content, withReasoning: !isOpenAI))
            }
        }
        var body: [String: JSON] = [
            "model": .string(request.model),
            "messages": .array(messages),
            "stream": true,
            "stream_options": ["include_usage": true],
            isOpenAI ? "max_completion_tokens" : "max_tokens": .int(Int64(request.maxOutputTokens)),
        ]
        if !request.tools.isEmpty {
            body["tools"] = .array(
                request.tools.map {
                    [
                        "type": "function",
                        "function": [
                            "name": .string($0.name), "description": .string($0.description),
                            "parameters": $0.inputSchema,
                        ],
                    ]
                })
        }
        return .object(body)
    }

    /// A `tool` message for each result, then one `user` message.
    private static func user(_ content: [Block]) -> [JSON] {
        var messages: [JSON] = []
        for case .toolResult(let id, let content, _) in content {
            messages.append(["role": "tool", "tool_call_id": .string(id), "content": .string(content)])
        }
        let text = joinedText(content)
        if !text.isEmpty { messages.append(["role": "user", "content": .string(text)]) }
        return messages
    }

    private static func assistant(_ content: [Block], withReasoning: Bool) -> JSON {
        var calls: [JSON] = []
        var reasoning = ""
        for block in content {
            switch block {
            case .toolCall(let id, let name, let input):
                calls.append([
                    "id": .string(id), "type": "function",
                    "function": ["name": .string(name), "arguments": .string(input.asToolInput.text)],
                ])
            case .thinking(let text, _): reasoning += text
            case .text, .redactedThinking, .toolResult: break
            }
        }
        let text = joinedText(content)
        // Null is for a message that has calls; without them content must be a string.
        var message: [String: JSON] = [
            "role": "assistant", "content": text.isEmpty && !calls.isEmpty ? .null : .string(text),
        ]
        if !calls.isEmpty { message["tool_calls"] = .array(calls) }
        if withReasoning, !reasoning.isEmpty { message["reasoning_content"] = .string(reasoning) }
        return .object(message)
    }

    /// As one string: many servers do not take a list of parts.
    private static func joinedText(_ content: [Block]) -> String {
        var texts: [String] = []
        for case .text(let text) in content { texts.append(text) }
        return texts.joined(separator: "\n\n")
    }
}
