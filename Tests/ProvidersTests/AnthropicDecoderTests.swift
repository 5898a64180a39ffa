import Agent
import Events
import Testing

/// The rules of the Messages API's stream.
struct AnthropicDecoderTests {
    private typealias Wire = AnthropicDialect

    private func text(_ words: String, at index: Int = 0) -> String {
        Wire.block(index, #"{"type":"text","text":""}"#)
            + Wire.delta(index, #"{"type":"text_delta","text":"\#(words)"}"#) + Wire.end(index)
    }

    private func call(_ pieces: [String], at index: Int = 0) -> String {
        Wire.block(index, #"{"type":"tool_use","id":"c\#(index)","name":"look","input":{}}"#)
            + pieces.map {
                Wire.delta(index, #"{"type":"input_json_delta","partial_json":\#(JSON.string($0).text)}"#)
            }.joined() + Wire.end(index)
    }

    @Test func `thinking keeps its signature, and encrypted thinking comes whole`() {
        let reading = Reading.anthropic(
            Wire.start, Wire.block(0, #"{"type":"thinking","thinking":"","signature":""}"#),
            Wire.delta(0, #"{"type":"thinking_delta","thinking":"Hm"}"#),
            Wire.delta(0, #"{"type":"thinking_delta","thinking":"m."}"#),
            Wire.delta(0, #"{"type":"signature_delta","signature":"c2ln"}"#), Wire.end(0),
            Wire.block(1, #"{"type":"redacted_thinking","data":"b3BhcXVl"}"#), Wire.end(1), text("Yes", at: 2),
            Wire.stop("end_turn"), Wire.last)
        #expect(
            reading.reply?.content == [
                .thinking(text: "Hmm.", signature: "c2ln"), .redactedThinking(data: "b3BhcXVl"), .text("Yes"),
            ])
        #expect(reading.deltas == [.thinking("Hm"), .thinking("m."), .text("Yes")])
    }

    @Test func `the input of a tool is put together from its pieces, and nothing means an empty object`() {
        let reading = Reading.anthropic(
            Wire.start, call([#"{"a"#, #"":[1,2"#, "]}"]), call([""], at: 1), call([], at: 2), Wire.stop("tool_use"),
            Wire.last)
        #expect(
            reading.reply?.content == [
                .toolCall(id: "c0", name: "look", input: ["a": [1, 2]]), .toolCall(id: "c1", name: "look", input: [:]),
                .toolCall(id: "c2", name: "look", input: [:]),
            ])
    }

    @Test func `blocks may come interleaved and keep the order in which they began`() {
        let reading = Reading.anthropic(
            Wire.start, Wire.block(0, #"{"type":"text","text":"A"}"#), Wire.block(1, #"{"type":"text","text":"B"}"#),
            Wire.delta(0, #"{"type":"text_delta","text":"a"}"#), Wire.delta(1, #"{"type":"text_delta","text":"b"}"#),
            Wire.end(0), Wire.end(1), Wire.stop("end_turn"), Wire.last)
        #expect(reading.reply?.content == [.text("Aa"), .text("Bb")])
    }

    @Test func `input counts its cached parts, and a later count replaces an earlier one`() {
        let start = Wire.event(
            "message_start",
            #","message":{"model":"m","usage":{"input_tokens":10,"cache_creation_input_tokens":300,"#
                + #""cache_read_input_tokens":2000,"output_tokens":1}}"#)
        let reading = Reading.anthropic(
            start, text("Yes"), Wire.stop("end_turn", usage: #"{"output_tokens":7,"cache_read_input_tokens":null}"#),
            Wire.stop("end_turn", usage: #"{"output_tokens":9}"#), Wire.last)
        #expect(reading.reply?.usage == TokenUsage(input: 2310, output: 9, cacheRead: 2000, cacheWrite: 300))
    }

    @Test func `counts that no provider can mean are cut to what can be summed`() {
        let start = Wire.event(
            "message_start",
            #","message":{"usage":{"input_tokens":9223372036854775807,"cache_creation_input_tokens":9223372036854775807,"#
                + #""cache_read_input_tokens":-5,"output_tokens":1.5}}"#)
        let reading = Reading.anthropic(start, Wire.stop("end_turn", usage: "{}"), Wire.last)
        #expect(reading.reply?.usage == TokenUsage(input: 2 << 40, output: 0, cacheRead: 0, cacheWrite: 1 << 40))
    }

    @Test func `without usage it is unknown, not nothing`() {
        let reading = Reading.anthropic(
            Wire.event("message_start", #","message":{}"#), text("Yes"), Wire.stop("end_turn", usage: "null"), Wire.last
        )
        #expect(reading.reply != nil)
        #expect(reading.reply?.usage == nil)
    }

    @Test(arguments: [
        ("end_turn", StopReason.endTurn), ("stop_sequence", .endTurn), ("max_tokens", .maxTokens),
        ("refusal", .refusal), ("pause_turn", .pauseTurn), ("model_context_window_exceeded", .contextWindow),
        ("tool_use", .endTurn), ("something_new", .endTurn),
    ])
    func `each stop reason has its meaning`(word: String, stop: StopReason) {
        #expect(Reading.anthropic(Wire.start, text("Yes"), Wire.stop(word), Wire.last).reply?.stop == stop)
    }

    @Test(arguments: ["end_turn", "tool_use", "something_new"])
    func `an answer that calls tools stops for them, whatever it says`(word: String) {
        #expect(Reading.anthropic(Wire.start, call(["{}"]), Wire.stop(word), Wire.last).reply?.stop == .toolUse)
    }

    @Test(arguments: ["max_tokens", "model_context_window_exceeded"])
    func `a call that was cut is left out, also if nothing of its input has come`(word: String) {
        for pieces in [[#"{"a":"#], [""], []] {
            let reading = Reading.anthropic(Wire.start, text("Yes"), call(pieces, at: 1), Wire.stop(word), Wire.last)
            #expect(reading.reply?.content == [.text("Yes")])
        }
        // One whose input is whole was not cut.
        let whole = Reading.anthropic(Wire.start, call([#"{"a":1}"#]), Wire.stop(word), Wire.last)
        #expect(whole.reply?.content == [.toolCall(id: "c0", name: "look", input: ["a": 1])])
    }

    @Test(arguments: [#"{"a":"#, "[1]", "\"text\"", "1"]) func `input that is no object is kept as text`(json: String) {
        let reading = Reading.anthropic(Wire.start, call([json]), Wire.stop("tool_use"), Wire.last)
        #expect(reading.reply?.content == [.toolCall(id: "c0", name: "look", input: .string(json))])
    }

    @Test func `event lines may be missing, or wrong: the type in the JSON decides`() {
        let stream = [Wire.start, text("Yes"), Wire.stop("end_turn"), Wire.last].joined()
        let bare = stream.split(separator: "\n", omittingEmptySubsequences: false)
            .filter { !$0.hasPrefix("event:") }.joined(separator: "\n")
        let wrong = stream.replacing("event: ", with: "event: x")
        #expect(Reading.anthropic(bare).reply?.content == [.text("Yes")])
        #expect(Reading.anthropic(wrong).reply?.content == [.text("Yes")])
    }

    @Test func `unknown blocks, deltas, events and fields are passed over`() {
        let reading = Reading.anthropic(
            Wire.start, Wire.block(0, #"{"type":"server_tool_use","id":"s","name":"web","input":{}}"#),
            Wire.delta(0, #"{"type":"input_json_delta","partial_json":"{}"}"#), Wire.end(0),
            Wire.event("news", #","index":9,"delta":{}"#), text("Yes", at: 1),
            Wire.delta(1, #"{"type":"citations_delta","citation":{}}"#), Wire.stop("end_turn"), Wire.last)
        #expect(reading.reply?.content == [.text("Yes")])
    }

    @Test func `a stream that ends with its stop reason but without message_stop is truncated`() {
        #expect(Reading.anthropic(Wire.start, text("Yes"), Wire.stop("end_turn")).error?.kind == .truncated)
        #expect(
            Reading.anthropic(Wire.start, text("Yes"), Wire.stop("end_turn"), cut: "reset").error?.kind == .truncated)
        // And one whose stop reason was lost.
        #expect(Reading.anthropic(Wire.start, text("Yes"), Wire.last).error?.kind == .truncated)
    }

    @Test func `after message_stop a failing transport takes nothing away`() {
        let reading = Reading.anthropic(Wire.start, text("Yes"), Wire.stop("end_turn"), Wire.last, cut: "reset")
        #expect(reading.reply?.content == [.text("Yes")])
    }

    @Test func `a delta without its block is a malformed answer, which can be tried again`() {
        let reading = Reading.anthropic(Wire.start, Wire.delta(3, #"{"type":"text_delta","text":"x"}"#), Wire.last)
        #expect(reading.error?.kind == .server)
        #expect(Reading.anthropic("data: {\"type\":\n\n").error?.kind == .server)
    }

    @Test(arguments: [
        ("overloaded_error", LLMError.Kind.overloaded), ("api_error", .server), ("rate_limit_error", .rateLimited),
        ("invalid_request_error", .invalidRequest), ("authentication_error", .authentication), ("novel_error", .server),
    ])
    func `an error event says what it is`(type: String, kind: LLMError.Kind) {
        let event = Wire.event("error", #","error":{"type":"\#(type)","message":"Oh"}"#)
        let reading = Reading.anthropic(Wire.start, text("Yes"), event)
        #expect(reading.error?.kind == kind)
        #expect(reading.error?.message.contains("Oh") == true)
    }
}
