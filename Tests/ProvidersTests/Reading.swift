import Agent
import HTTP
import Providers

/// What came of reading a body: the answer or the error, and the deltas.
struct Reading {
    var reply: LLMReply?
    var error: LLMError?
    var deltas: [LLMDelta] = []
    var reception = Reception.idle

    /// Reads the body in pieces of `size` bytes, as the transport would bring them; `cut` is how the transport failed.
    init(_ body: [UInt8], _ decoder: some AnswerDecoder, size: Int = .max, cut: String? = nil) {
        var deltas: [LLMDelta] = []
        do throws(LLMError) {
            var reader = AnswerReader(decoder: decoder, mapping: testMapping, limits: HTTPLimits())
            var rest = body[...]
            while !rest.isEmpty, reception != .enough {
                reception = try reader.read(Array(rest.prefix(size))) { deltas.append($0) }
                rest = rest.dropFirst(size)
            }
            reply = try reader.finish(cut: cut)
        } catch {
            self.error = error
        }
        self.deltas = deltas
    }

    init(_ events: [String], _ decoder: some AnswerDecoder, cut: String? = nil) {
        self.init(Array(events.joined().utf8), decoder, cut: cut)
    }

    static func anthropic(_ events: String..., cut: String? = nil) -> Reading {
        Reading(events, AnthropicDecoder(), cut: cut)
    }

    static func openAI(_ events: String..., cut: String? = nil) -> Reading {
        Reading(events, OpenAIDecoder(), cut: cut)
    }
}

let testMapping = ErrorMapping(
    model: "some-model", url: "https://llm.test/v1/messages", redaction: Redaction(["sk-secret"]))

/// A generator whose numbers are the same in every run: a failure can be looked at again.
struct Dice: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    /// SplitMix64.
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
