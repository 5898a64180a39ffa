import Agent
import Providers
import Testing

/// Streams with random damage: no crash, and no whole answer without its terminal event.
struct FuzzTests {
    @Test(arguments: 0..<40) func `a damaged Anthropic stream is an answer only with message_stop in it`(seed: UInt64) {
        let dialect = AnthropicDialect()
        check([dialect.events + dialect.ending, dialect.cutCall, dialect.malformedCall], AnthropicDecoder.init, seed) {
            $0.contains("message_stop") && $0.contains("stop_reason")
        }
    }

    @Test(arguments: 0..<40) func `a damaged chat stream is an answer only with a finish or DONE in it`(seed: UInt64) {
        let dialect = OpenAIDialect()
        check([dialect.events + dialect.ending, dialect.cutCall, dialect.malformedCall], OpenAIDecoder.init, seed) {
            $0.contains("[DONE]") || $0.contains(#""finish_reason":""#)
        }
    }

    @Test func `a stream cut at any byte is whole only if its terminal event is`() {
        let anthropic = Array((AnthropicDialect().events + AnthropicDialect().ending).joined().utf8)
        for end in 0..<anthropic.count {
            #expect(Reading(Array(anthropic[..<end]), AnthropicDecoder()).error?.kind == .truncated, "\(end)")
        }
        let openAI = Array((OpenAIDialect().events + OpenAIDialect().ending).joined().utf8)
        let finish = OpenAIDialect().events.joined().utf8.count + OpenAIDialect.finish("tool_calls").utf8.count
        for end in 0..<openAI.count {
            let reading = Reading(Array(openAI[..<end]), OpenAIDecoder())
            #expect((reading.reply != nil) == (end >= finish), "\(end)")
        }
    }

    private func check<Decoder: AnswerDecoder>(
        _ streams: [[String]], _ decoder: () -> Decoder, _ seed: UInt64, isWhole: (String) -> Bool
    ) {
        var dice = Dice(seed)
        for _ in 0..<50 {
            guard let stream = streams.randomElement(using: &dice) else { return }
            var bytes = damaged(stream, &dice)
            for _ in 0..<Int.random(in: 0...3, using: &dice) { damage(&bytes, &dice) }
            let reading = Reading(bytes, decoder(), size: Int.random(in: 1...200, using: &dice))
            let text = String(decoding: bytes, as: UTF8.self)
            #expect((reading.reply == nil) != (reading.error == nil))
            if reading.reply != nil { #expect(isWhole(text), "seed \(seed): \(text)") }
        }
    }

    /// Events lost, doubled, or out of order.
    private func damaged(_ stream: [String], _ dice: inout Dice) -> [UInt8] {
        var events = stream
        switch Int.random(in: 0..<5, using: &dice) {
        case 0: events.remove(at: Int.random(in: 0..<events.count, using: &dice))
        case 1: events.append(events[Int.random(in: 0..<events.count, using: &dice)])
        case 2: events.shuffle(using: &dice)
        case 3: events.removeLast(Int.random(in: 0...events.count, using: &dice))
        default: break
        }
        return Array(events.joined().utf8)
    }

    /// Bytes changed, lost, put in, or cut off.
    private func damage(_ bytes: inout [UInt8], _ dice: inout Dice) {
        guard !bytes.isEmpty else { return }
        let place = Int.random(in: 0..<bytes.count, using: &dice)
        switch Int.random(in: 0..<5, using: &dice) {
        case 0: bytes[place] = UInt8.random(in: 0...255, using: &dice)
        case 1: bytes.remove(at: place)
        case 2:
            let tokens = ["\n\n", "\r", "{", "}", "\"", "null", "-1", "[", "\u{FEFF}", "data: ", "9e999", "\\ud83d"]
            bytes.insert(contentsOf: (tokens.randomElement(using: &dice) ?? "").utf8, at: place)
        case 3: bytes.removeSubrange(place..<min(bytes.count, place + Int.random(in: 1...60, using: &dice)))
        default: bytes.removeLast(bytes.count - place)
        }
    }
}
