package import Agent
package import Events
import HTTP

/// Something in an answer that makes it none.
package enum AnswerFault: Error, Equatable {
    /// The provider says so itself, in the midst of the stream: the whole event.
    case provider(JSON)
    /// It is not what the provider's API is documented to send.
    case malformed(String)
}

/// Puts one provider's answer together. This is the part that a new provider has to write.
///
/// A value of its own for every answer. It keeps only what it was given, so its memory is bounded by the answer's.
package protocol AnswerDecoder {
    /// Takes the next event of a stream. Unknown events, fields and kinds of content are passed over.
    ///
    /// - Returns: `.answered` or `.enough` from the terminal event on.
    mutating func take(_ event: ServerSentEvent, show: (LLMDelta) -> Void) throws(AnswerFault) -> Reception
    /// Takes a whole answer that was not streamed: some servers pass over `stream`.
    mutating func take(whole body: JSON, show: (LLMDelta) -> Void) throws(AnswerFault)
    /// The answer; nil if the terminal event has not been seen.
    func reply() throws(AnswerFault) -> LLMReply?
}

extension ServerSentEvent {
    func json() throws(AnswerFault) -> JSON {
        do throws(JSONError) {
            return try JSON(parsing: data)
        } catch {
            throw .malformed("an event is not JSON: \(data.prefix(200))")
        }
    }
}

extension LLMReply {
    /// A reply whose stop fits its content: servers say `stop` although tools were called, and the other way round.
    init(_ content: [Block], stop: StopReason, usage: TokenUsage?, model: String?) {
        let callsTools = content.contains { if case .toolCall = $0 { true } else { false } }
        let fitting: StopReason =
            switch stop {
            case .endTurn, .toolUse: callsTools ? .toolUse : .endTurn
            default: stop
            }
        self.init(content: content, stop: fitting, usage: usage, model: model)
    }
}

/// The input of a tool call from the text that a model wrote.
enum ToolInputText {
    /// `isCut`: the answer was cut at its limit of tokens.
    ///
    /// - Returns: an object; or the text itself as a string if it is not the JSON of one, for the loop to refuse; or
    ///   nil if the call was cut and must not be run. Nothing at all means `{}`, unless the answer was cut.
    static func input(_ text: String, isCut: Bool) -> JSON? {
        let value = text.trimmed.isEmpty ? JSON.null : try? JSON(parsing: text)
        if let value, value.object != nil { return value }
        // A JSON object says where it ends: one that could be read was not cut.
        if isCut { return nil }
        return value?.isNull == true ? .object([:]) : .string(text)
    }
}

extension JSON {
    /// A count of tokens: none is negative, and none is so large that a sum could overflow.
    var tokens: Int? { int.map { min(max(0, $0), 1 << 40) } }

    /// The string if it is not empty.
    var nonEmptyString: String? { string.flatMap { $0.isEmpty ? nil : $0 } }
}
