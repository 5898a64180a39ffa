import Agent
import ProviderConformance
import Providers

/// How a server with the Chat Completions API talks.
struct OpenAIDialect: ProviderDialect {
    let name = "openai"
    let path = "/v1/chat/completions"

    func makeProvider(
        baseURL: String, time: ShortTimes, currentKey: @escaping @Sendable () -> String?
    ) throws -> any LLMProvider {
        var configuration = try configuration(baseURL, time)
        configuration.currentKey = currentKey
        return try Providers.makeProvider(.openai, configuration)
    }

    static func chunk(_ rest: String) -> String {
        "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"model\":\"some-model\",\(rest)}\n\n"
    }

    static func delta(_ delta: String) -> String {
        chunk(#""choices":[{"index":0,"delta":\#(delta),"finish_reason":null}]"#)
    }

    static func finish(_ reason: String) -> String {
        chunk(#""choices":[{"index":0,"delta":{},"finish_reason":"\#(reason)"}]"#)
    }

    static let usage = chunk(#""choices":[],"usage":{"prompt_tokens":12,"completion_tokens":5}"#)
    static let done = "data: [DONE]\n\n"

    private static let text = [
        delta(#"{"role":"assistant","content":""}"#), delta(#"{"content":"Hel"}"#), delta(#"{"content":"lo"}"#),
    ]

    private static let call = delta(
        #"{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"look","arguments":""}}]}"#)
    private static let begun = delta(#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"at\":"}}]}"#)

    let events = text + [call, begun, delta(#"{"tool_calls":[{"index":0,"function":{"arguments":"\"x\"}"}}]}"#)]
    let ending = [finish("tool_calls"), usage, done]
    let ping = ": keep-alive\n\n"
    let overloadedEvent = "data: {\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n"

    let document = #"""
        {"object":"chat.completion","model":"some-model","choices":[{"index":0,"finish_reason":"tool_calls",
        "message":{"role":"assistant","content":"Hello","tool_calls":[{"id":"c1","type":"function",
        "function":{"name":"look","arguments":"{\"at\":\"x\"}"}}]}}],
        "usage":{"prompt_tokens":12,"completion_tokens":5}}
        """#

    let cutCall = text + [call, begun, finish("length"), usage, done]
    let malformedCall = [call, begun, finish("tool_calls"), done]

    func errorBody(type: String, message: String) -> String {
        #"{"error":{"type":"\#(type)","message":"\#(message)","code":null}}"#
    }
}
