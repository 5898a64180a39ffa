import Agent
import Events
import Testing

/// The rules of the Chat Completions stream, as many servers bend them.
struct OpenAIDecoderTests {
    private typealias Wire = OpenAIDialect

    private func fragments(_ fragments: String..., finish: String = "tool_calls") -> Reading {
        Reading.openAI(
            fragments.map { Wire.delta(#"{"tool_calls":[\#($0)]}"#) }.joined(), Wire.finish(finish), Wire.done)
    }

    private func call(_ id: String, _ name: String, _ input: JSON) -> Block {
        .toolCall(id: id, name: name, input: input)
    }

    // MARK: Tool fragments

    @Test func `an index selects the slot that an id has opened`() {
        let reading = fragments(
            #"{"index":0,"id":"a","function":{"name":"look","arguments":""}}"#,
            #"{"index":1,"id":"b","function":{"name":"hear","arguments":""}}"#,
            #"{"index":0,"function":{"arguments":"{\"x\":"}}"#, #"{"index":1,"function":{"arguments":"{\"y\":"}}"#,
            #"{"index":0,"function":{"arguments":"1}"}}"#, #"{"index":1,"function":{"arguments":"2}"}}"#)
        #expect(reading.reply?.content == [call("a", "look", ["x": 1]), call("b", "hear", ["y": 2])])
    }

    @Test func `without an index (Mistral) an unseen id opens a slot`() {
        let reading = fragments(
            #"{"id":"a","function":{"name":"look","arguments":"{\"x\":1}"}},{"id":"b","function":{"name":"hear","arguments":"{}"}}"#
        )
        #expect(reading.reply?.content == [call("a", "look", ["x": 1]), call("b", "hear", [:])])
    }

    @Test func `without id and index a fragment belongs to the last slot`() {
        let reading = fragments(
            #"{"id":"a","function":{"name":"look","arguments":"{}"}}"#, #"{"id":"b","function":{"name":"hear"}}"#,
            #"{"function":{"arguments":"{\"x\":1}"}}"#)
        #expect(reading.reply?.content == [call("a", "look", [:]), call("b", "hear", ["x": 1])])
    }

    @Test func `a repeated id and name (Kimi) select their slot and are set once`() {
        let reading = fragments(
            #"{"index":0,"id":"a","function":{"name":"look","arguments":"{\"x\""}}"#,
            #"{"index":1,"id":"b","function":{"name":"hear","arguments":"{}"}}"#,
            #"{"index":0,"id":"a","function":{"name":"look","arguments":":1}"}}"#)
        #expect(reading.reply?.content == [call("a", "look", ["x": 1]), call("b", "hear", [:])])
    }

    @Test func `index 0 for all (Ollama) does not merge calls with ids of their own`() {
        let reading = fragments(
            #"{"index":0,"id":"a","function":{"name":"look","arguments":"{\"x\":1}"}}"#,
            #"{"index":0,"id":"b","function":{"name":"look","arguments":"{\"x\":"}}"#,
            #"{"index":0,"function":{"arguments":"2}"}}"#)
        #expect(reading.reply?.content == [call("a", "look", ["x": 1]), call("b", "look", ["x": 2])])
    }

    @Test func `an empty id is no id, and calls without any get one`() {
        let reading = fragments(
            #"{"index":0,"id":"","function":{"name":"look","arguments":"{"}}"#,
            #"{"index":1,"id":null,"function":{"name":"hear","arguments":"{}"}}"#,
            #"{"index":0,"id":"","function":{"arguments":"}"}}"#)
        #expect(reading.reply?.content == [call("call_0", "look", [:]), call("call_1", "hear", [:])])
    }

    @Test func `arguments may be missing, null, or an object`() {
        let reading = fragments(
            #"{"index":0,"id":"a","function":{"name":"look"}}"#,
            #"{"index":1,"id":"b","function":{"name":"look","arguments":null}}"#,
            #"{"index":2,"id":"c","function":{"name":"look","arguments":{"x":1}}}"#)
        #expect(
            reading.reply?.content == [call("a", "look", [:]), call("b", "look", [:]), call("c", "look", ["x": 1])])
    }

    @Test func `a call without a name is a malformed answer`() {
        #expect(fragments(#"{"index":0,"id":"a","function":{"arguments":"{}"}}"#).error?.kind == .server)
    }

    @Test func `at the limit a call without its whole input is left out`() {
        #expect(
            fragments(
                #"{"index":0,"id":"a","function":{"name":"look","arguments":"{\"x\":1}"}}"#,
                #"{"index":1,"id":"b","function":{"name":"look","arguments":""}}"#, finish: "length"
            ).reply?.content == [call("a", "look", ["x": 1])])
    }

    // MARK: The end

    @Test func `complete means that a finish reason or DONE was seen`() {
        let text = Wire.delta(#"{"content":"Yes"}"#)
        #expect(Reading.openAI(text, Wire.finish("stop")).reply?.content == [.text("Yes")])
        #expect(Reading.openAI(text, Wire.done).reply?.content == [.text("Yes")])
        #expect(Reading.openAI(text, Wire.finish("stop"), cut: "reset").reply?.content == [.text("Yes")])
        #expect(Reading.openAI(text).error?.kind == .truncated)
        #expect(Reading.openAI(text, cut: "reset").error?.kind == .truncated)
    }

    @Test func `an empty finish reason is none`() {
        #expect(Reading.openAI(Wire.delta(#"{"content":"Yes"}"#), Wire.finish("")).error?.kind == .truncated)
    }

    @Test func `DONE alone is no answer`() {
        #expect(Reading.openAI(Wire.done).error?.kind == .truncated)
        #expect(Reading.openAI(Wire.usage, Wire.done).error?.kind == .truncated)
    }

    @Test func `a null finish reason does not hide that tools were called`() {
        let reading = Reading.openAI(
            Wire.delta(#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"look","arguments":"{}"}}]}"#), Wire.done
        )
        #expect(reading.reply?.stop == .toolUse)
        #expect(fragments(#"{"id":"a","function":{"name":"look"}}"#, finish: "stop").reply?.stop == .toolUse)
    }

    @Test(arguments: [
        ("stop", StopReason.endTurn), ("eos", .endTurn), ("tool_calls", .endTurn), ("function_call", .endTurn),
        ("length", .maxTokens), ("model_length", .maxTokens), ("content_filter", .refusal),
    ])
    func `each finish reason has its meaning`(word: String, stop: StopReason) {
        #expect(Reading.openAI(Wire.delta(#"{"content":"Yes"}"#), Wire.finish(word)).reply?.stop == stop)
    }

    @Test func `a refusal in its own field is a refusal, with its words`() {
        let reading = Reading.openAI(Wire.delta(#"{"refusal":"I won't."}"#), Wire.finish("stop"))
        #expect(reading.reply?.stop == .refusal)
        #expect(reading.reply?.content == [.text("I won't.")])
    }

    @Test func `a server that gives up says so in the finish reason`() {
        #expect(Reading.openAI(Wire.finish("insufficient_system_resource")).error?.kind == .overloaded)
        #expect(Reading.openAI(Wire.finish("error")).error?.kind == .server)
    }

    // MARK: Content

    @Test(arguments: ["reasoning_content", "reasoning"]) func `reasoning has two names`(field: String) {
        let reading = Reading.openAI(
            Wire.delta(#"{"\#(field)":"Hm","content":null}"#), Wire.delta(#"{"\#(field)":"m","content":""}"#),
            Wire.delta(#"{"content":"Yes","\#(field)":null}"#), Wire.finish("stop"))
        #expect(reading.reply?.content == [.thinking(text: "Hmm", signature: nil), .text("Yes")])
        #expect(reading.deltas == [.thinking("Hm"), .thinking("m"), .text("Yes")])
    }

    @Test func `reasoning under both names counts once`() {
        let reading = Reading.openAI(Wire.delta(#"{"reasoning":"Hm","reasoning_content":"Hm"}"#), Wire.finish("stop"))
        #expect(reading.reply?.content == [.thinking(text: "Hm", signature: nil)])
    }

    @Test func `content may be a list or an object, with thinking in it`() {
        let reading = Reading.openAI(
            Wire.delta(#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"Hm"}]}]}"#),
            Wire.delta(#"{"content":[{"type":"text","text":"Y"},"e"]}"#),
            Wire.delta(#"{"content":{"type":"text","text":"s"}}"#), Wire.finish("stop"))
        #expect(reading.reply?.content == [.thinking(text: "Hm", signature: nil), .text("Yes")])
    }

    @Test func `only the first choice counts`() {
        let other = Wire.chunk(#""choices":[{"index":1,"delta":{"content":"No"},"finish_reason":"stop"}]"#)
        #expect(Reading.openAI(Wire.delta(#"{"content":"Yes"}"#), other).error?.kind == .truncated)
    }

    // MARK: Usage

    @Test func `usage comes alone, with the finish, in the choice, or cumulatively; a null erases nothing`() {
        let text = Wire.delta(#"{"content":"Yes"}"#)
        let full = TokenUsage(input: 12, output: 5)
        let null = Wire.chunk(#""choices":[],"usage":null"#)
        let early = Wire.chunk(#""choices":[],"usage":{"prompt_tokens":12,"completion_tokens":1}"#)
        let withFinish = Wire.chunk(
            #""choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":5}"#
        )
        let inChoice = Wire.chunk(
            #""choices":[{"index":0,"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":12,"completion_tokens":5}}]"#
        )
        #expect(Reading.openAI(text, Wire.finish("stop"), Wire.usage, null, Wire.done).reply?.usage == full)
        #expect(Reading.openAI(text, withFinish, null, Wire.done).reply?.usage == full)
        #expect(Reading.openAI(text, inChoice).reply?.usage == full)
        #expect(Reading.openAI(early, text, early, Wire.usage, Wire.finish("stop")).reply?.usage == full)
        #expect(Reading.openAI(text, Wire.finish("stop"), null, Wire.done).reply?.usage == nil)
    }

    @Test(arguments: [
        #""prompt_tokens_details":{"cached_tokens":8}"#, #""prompt_cache_hit_tokens":8"#, #""cached_tokens":8"#,
    ])
    func `cached input has several names`(field: String) {
        let usage = Wire.chunk(#""choices":[],"usage":{"prompt_tokens":12,"completion_tokens":5,\#(field)}"#)
        let reading = Reading.openAI(Wire.finish("stop"), usage)
        #expect(reading.reply?.usage == TokenUsage(input: 12, output: 5, cacheRead: 8))
    }

    // MARK: Errors in the stream

    @Test(arguments: [
        #"data: {"error":{"type":"server_error","message":"Oh"}}"#, #"data: {"error":"Oh"}"#,
        #"data: {"object":"error","message":"Oh","code":500}"#, #"data: {"detail":"Oh"}"#,
        "event: error\ndata: {\"message\":\"Oh\"}", #"data: {"error":{"code":502,"message":"Oh"},"choices":[]}"#,
    ])
    func `an error in the stream is the end, in any shape`(event: String) {
        let reading = Reading.openAI(Wire.delta(#"{"content":"Yes"}"#), event + "\n\n", Wire.done)
        #expect(reading.error?.kind == .server)
        #expect(reading.error?.message.contains("Oh") == true)
    }

    @Test func `an error that is null is none`() {
        let chunk = Wire.chunk(#""error":null,"choices":[{"delta":{"content":"Yes"},"finish_reason":"stop"}]"#)
        #expect(Reading.openAI(chunk).reply?.content == [.text("Yes")])
    }
}
