import Agent
import ProviderConformance
import Providers

/// How an Anthropic server talks.
struct AnthropicDialect: ProviderDialect {
    let name = "anthropic"
    let path = "/v1/messages"

    func makeProvider(
        baseURL: String, time: ShortTimes, currentKey: @escaping @Sendable () -> String?
    ) throws -> any LLMProvider {
        var configuration = try configuration(baseURL, time)
        configuration.currentKey = currentKey
        return try Providers.makeProvider(.anthropic, configuration)
    }

    static func event(_ type: String, _ rest: String = "") -> String {
        "event: \(type)\ndata: {\"type\":\"\(type)\"\(rest)}\n\n"
    }

    static let start = event(
        "message_start",
        #","message":{"id":"m","model":"some-model","content":[],"usage":{"input_tokens":12,"output_tokens":1}}"#)

    static func block(_ index: Int, _ block: String) -> String {
        event("content_block_start", #","index":\#(index),"content_block":\#(block)"#)
    }

    static func delta(_ index: Int, _ delta: String) -> String {
        event("content_block_delta", #","index":\#(index),"delta":\#(delta)"#)
    }

    static func end(_ index: Int) -> String { event("content_block_stop", #","index":\#(index)"#) }

    static func stop(_ reason: String, usage: String = #"{"output_tokens":5}"#) -> String {
        event("message_delta", #","delta":{"stop_reason":"\#(reason)","stop_sequence":null},"usage":\#(usage)"#)
    }

    static let last = event("message_stop")

    private static let text = [
        block(0, #"{"type":"text","text":""}"#), delta(0, #"{"type":"text_delta","text":"Hel"}"#),
        delta(0, #"{"type":"text_delta","text":"lo"}"#), end(0),
    ]

    private static let call = block(1, #"{"type":"tool_use","id":"c1","name":"look","input":{}}"#)

    let events =
        [start] + text + [
            call, delta(1, #"{"type":"input_json_delta","partial_json":"{\"at\":"}"#),
            delta(1, #"{"type":"input_json_delta","partial_json":"\"x\"}"}"#), end(1), stop("tool_use"),
        ]
    let ending = [last]
    let ping = event("ping")
    let overloadedEvent = event("error", #","error":{"type":"overloaded_error","message":"busy"}"#)

    let document = #"""
        {"type":"message","model":"some-model","content":[{"type":"text","text":"Hello"},
        {"type":"tool_use","id":"c1","name":"look","input":{"at":"x"}}],"stop_reason":"tool_use",
        "usage":{"input_tokens":12,"output_tokens":5}}
        """#

    let cutCall =
        [start] + text + [
            call, delta(1, #"{"type":"input_json_delta","partial_json":"{\"at\":"}"#), end(1), stop("max_tokens"), last,
        ]
    let malformedCall = [
        start, call, delta(1, #"{"type":"input_json_delta","partial_json":"{\"at\":"}"#), end(1), stop("tool_use"),
        last,
    ]

    func errorBody(type: String, message: String) -> String {
        #"{"type":"error","error":{"type":"\#(type)","message":"\#(message)"}}"#
    }
}
