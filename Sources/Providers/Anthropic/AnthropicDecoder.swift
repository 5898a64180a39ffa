package import Agent
package import Events

/// The stream of the Messages API: `message_start`, then blocks, `message_delta`, `message_stop`.
package struct AnthropicDecoder: AnswerDecoder {
    /// A block as it comes.
    private struct Part {
        let type: String
        /// Text, thinking, the data of encrypted thinking, or the JSON of a tool's input.
        var text = ""
        var signature: String?
        var id = ""
        var name = ""
        /// A tool's input that came whole.
        var input: JSON?
    }

    private var parts: [Part] = []
    /// The provider's index of a block to its place in `parts`.
    private var places: [Int: Int] = [:]
    private var usage: [String: Int] = [:]
    private var stop: String?
    private var model: String?
    private var isComplete = false

    package init() {}

    package mutating func take(_ event: ServerSentEvent, show: (LLMDelta) -> Void) throws(AnswerFault) -> Reception {
        let json = try event.json()
        // `event:` lines may be missing: the type in the JSON decides.
        switch json["type"]?.string ?? event.name {
        case "message_start":
            model = json["message"]?["model"]?.string ?? model
            noteUsage(json["message"]?["usage"])
            return .progress
        case "content_block_start":
            try begin(json["content_block"], at: json["index"]?.int, show: show)
            return .progress
        case "content_block_delta":
            return try extend(json["delta"], at: json["index"]?.int, show: show)
        case "content_block_stop": return .progress
        case "message_delta":
            stop = json["delta"]?["stop_reason"]?.string ?? stop
            noteUsage(json["usage"])
            return .progress
        case "message_stop":
            isComplete = true
            return .enough
        case "error": throw .provider(json)
        default:
            if let error = json["error"], !error.isNull { throw .provider(json) }
            return .idle
        }
    }

    package mutating func take(whole body: JSON, show: (LLMDelta) -> Void) throws(AnswerFault) {
        if let error = body["error"], !error.isNull { throw .provider(body) }
        guard let content = body["content"]?.array, let reason = body["stop_reason"]?.string else {
            throw .malformed("it has no content or no stop_reason: \(body.text.prefix(300))")
        }
        for (index, block) in content.enumerated() { try begin(block, at: index, show: show) }
        stop = reason
        model = body["model"]?.string
        noteUsage(body["usage"])
        isComplete = true
    }

    private mutating func begin(_ block: JSON?, at index: Int?, show: (LLMDelta) -> Void) throws(AnswerFault) {
        guard let block, let index, let type = block["type"]?.string else {
            throw .malformed("a block begins without type or index")
        }
        var part = Part(type: type)
        switch type {
        case "text": part.text = block["text"]?.string ?? ""
        case "thinking":
            part.text = block["thinking"]?.string ?? ""
            part.signature = block["signature"]?.string
        case "redacted_thinking": part.text = block["data"]?.string ?? ""
        case "tool_use":
            guard let id = block["id"]?.nonEmptyString, let name = block["name"]?.nonEmptyString else {
                throw .malformed("a tool call has no id or no name")
            }
            (part.id, part.name, part.input) = (id, name, block["input"])
        default: break
        }
        if type == "text", !part.text.isEmpty { show(.text(part.text)) }
        if type == "thinking", !part.text.isEmpty { show(.thinking(part.text)) }
        places[index] = parts.count
        parts.append(part)
    }

    private mutating func extend(
        _ delta: JSON?, at index: Int?, show: (LLMDelta) -> Void
    ) throws(AnswerFault) -> Reception {
        // To pass over it would be to lose a part of the answer.
        guard let delta, let index, let place = places[index] else {
            throw .malformed("a delta belongs to a block that has not begun")
        }
        switch delta["type"]?.string {
        case "text_delta":
            let text = delta["text"]?.string ?? ""
            parts[place].text += text
            if !text.isEmpty { show(.text(text)) }
        case "thinking_delta":
            let text = delta["thinking"]?.string ?? ""
            parts[place].text += text
            if !text.isEmpty { show(.thinking(text)) }
        case "signature_delta": parts[place].signature = delta["signature"]?.string ?? parts[place].signature
        case "input_json_delta": parts[place].text += delta["partial_json"]?.string ?? ""
        default: return .idle
        }
        return .progress
    }

    /// Counts are cumulative: a later one replaces an earlier one, one that is missing or null does not.
    private mutating func noteUsage(_ json: JSON?) {
        for (name, value) in json?.object ?? [:] { if let tokens = value.tokens { usage[name] = tokens } }
    }

    package func reply() throws(AnswerFault) -> LLMReply? {
        // Without a stop reason something of the stream is missing.
        guard isComplete, let stop else { return nil }
        let reason: StopReason =
            switch stop {
            case "max_tokens": .maxTokens
            case "tool_use": .toolUse
            case "refusal": .refusal
            case "pause_turn": .pauseTurn
            case "model_context_window_exceeded": .contextWindow
            // `end_turn`, `stop_sequence`, and what is not known yet: the content says what is to be done.
            default: .endTurn
            }
        let isCut = reason == .maxTokens || reason == .contextWindow
        let blocks = parts.compactMap { Self.block($0, isCut: isCut) }
        return LLMReply(blocks, stop: reason, usage: tokenUsage, model: model)
    }

    private static func block(_ part: Part, isCut: Bool) -> Block? {
        switch part.type {
        case "text": return part.text.isEmpty ? nil : .text(part.text)
        case "thinking":
            guard !part.text.isEmpty || part.signature?.isEmpty == false else { return nil }
            return .thinking(text: part.text, signature: part.signature)
        case "redacted_thinking": return .redactedThinking(data: part.text)
        case "tool_use":
            // Input that came whole, and nothing after it, is the input.
            if part.text.isEmpty, let input = part.input, input.object?.isEmpty == false {
                return .toolCall(id: part.id, name: part.name, input: input)
            }
            return ToolInputText.input(part.text, isCut: isCut).map {
                .toolCall(id: part.id, name: part.name, input: $0)
            }
        default: return nil
        }
    }

    private var tokenUsage: TokenUsage? {
        guard !usage.isEmpty else { return nil }
        let read = usage["cache_read_input_tokens"] ?? 0
        let write = usage["cache_creation_input_tokens"] ?? 0
        return TokenUsage(
            input: (usage["input_tokens"] ?? 0) + write + read, output: usage["output_tokens"] ?? 0, cacheRead: read,
            cacheWrite: write)
    }
}
