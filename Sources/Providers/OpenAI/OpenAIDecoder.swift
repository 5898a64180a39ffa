package import Agent
package import Events
import HTTP

/// The stream of the Chat Completions API, as OpenAI and some twenty other servers send it.
package struct OpenAIDecoder: AnswerDecoder {
    private var text = ""
    private var reasoning = ""
    private var refusal = ""
    private var tools = ToolFragments()
    private var usage: TokenUsage?
    private var model: String?
    private var finish: String?
    private var hasChoice = false
    private var isDone = false

    package init() {}

    package mutating func take(_ event: ServerSentEvent, show: (LLMDelta) -> Void) throws(AnswerFault) -> Reception {
        let data = event.data.trimmed
        if data == "[DONE]" {
            isDone = true
            return .enough
        }
        let json = try event.json()
        if event.name == "error" { throw .provider(json) }
        return try take(json, show: show)
    }

    package mutating func take(whole body: JSON, show: (LLMDelta) -> Void) throws(AnswerFault) {
        _ = try take(body, show: show)
        guard hasChoice else { throw .malformed("it has no choices: \(body.text.prefix(300))") }
        // A JSON document that could be read is whole.
        isDone = true
    }

    private mutating func take(_ json: JSON, show: (LLMDelta) -> Void) throws(AnswerFault) -> Reception {
        if let error = json["error"], !error.isNull { throw .provider(json) }
        model = json["model"]?.nonEmptyString ?? model
        noteUsage(json["usage"])
        guard let choices = json["choices"]?.array else {
            if json["detail"] != nil || json["message"] != nil { throw .provider(json) }
            return finish == nil ? .idle : .answered
        }
        if let choice = choices.first(where: { ($0["index"]?.int ?? 0) == 0 }) { try take(choice: choice, show: show) }
        return finish == nil ? .progress : .answered
    }

    private mutating func take(choice: JSON, show: (LLMDelta) -> Void) throws(AnswerFault) {
        hasChoice = true
        noteUsage(choice["usage"])
        let delta = choice["delta"] ?? choice["message"] ?? .null
        let thinking = delta["reasoning_content"]?.nonEmptyString ?? delta["reasoning"]?.nonEmptyString
        if let thinking { note(thinking, isThinking: true, show: show) }
        for piece in Self.pieces(delta["content"] ?? .null, isThinking: false) {
            note(piece.text, isThinking: piece.isThinking, show: show)
        }
        if let words = delta["refusal"]?.nonEmptyString {
            refusal += words
            show(.text(words))
        }
        for fragment in delta["tool_calls"]?.array ?? [] { tools.merge(fragment) }
        // Some servers send an empty string until the end.
        guard let reason = choice["finish_reason"]?.nonEmptyString else { return }
        switch reason {
        case "error":
            throw .provider(choice["error"].map { ["error": $0] } ?? ["error": "the server gave up on its answer"])
        case "insufficient_system_resource":
            throw .provider(["error": ["type": "overloaded_error", "message": "the server lacks resources"]])
        default: finish = reason
        }
    }

    private mutating func note(_ piece: String, isThinking: Bool, show: (LLMDelta) -> Void) {
        if isThinking { reasoning += piece } else { text += piece }
        show(isThinking ? .thinking(piece) : .text(piece))
    }

    /// Content is a string, or a part, or a list of parts; Mistral has its thinking among them.
    private static func pieces(_ content: JSON, isThinking: Bool) -> [(text: String, isThinking: Bool)] {
        switch content {
        case .string(let text): text.isEmpty ? [] : [(text, isThinking)]
        case .array(let parts): parts.flatMap { pieces($0, isThinking: isThinking) }
        case .object(let part):
            if let thinking = part["thinking"] {
                pieces(thinking, isThinking: true)
            } else {
                pieces(part["text"] ?? part["content"] ?? .null, isThinking: isThinking)
            }
        default: []
        }
    }

    /// It may come with the finish, in a chunk of its own, or over and over with growing counts; a null is not news.
    private mutating func noteUsage(_ json: JSON?) {
        guard let json, json.object != nil else { return }
        let details = json["prompt_tokens_details"]
        let read = details?["cached_tokens"]?.tokens ?? json["prompt_cache_hit_tokens"]?.tokens
        usage = TokenUsage(
            input: json["prompt_tokens"]?.tokens ?? 0, output: json["completion_tokens"]?.tokens ?? 0,
            cacheRead: read ?? json["cached_tokens"]?.tokens ?? 0,
            cacheWrite: details?["cache_write_tokens"]?.tokens ?? 0)
    }

    /// Complete means: a finish reason or `[DONE]` was seen. The one may stay null although tools were called, and some
    /// servers never send the other.
    package func reply() throws(AnswerFault) -> LLMReply? {
        guard hasChoice, isDone || finish != nil else { return nil }
        let stop: StopReason =
            switch finish {
            case "length", "model_length", "max_tokens": .maxTokens
            case "content_filter": .refusal
            // `stop`, `eos`, `tool_calls`, `function_call`, nothing: the content says what is to be done.
            default: refusal.isEmpty ? .endTurn : .refusal
            }
        var content: [Block] = []
        if !reasoning.isEmpty { content.append(.thinking(text: reasoning, signature: nil)) }
        if !text.isEmpty { content.append(.text(text)) }
        if !refusal.isEmpty { content.append(.text(refusal)) }
        content += try tools.calls(isCut: stop == .maxTokens)
        return LLMReply(content, stop: stop, usage: usage, model: model)
    }
}
