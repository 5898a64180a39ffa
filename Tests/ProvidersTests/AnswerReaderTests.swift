import Agent
import ProviderConformance
import Providers
import Testing

/// Bodies that are no stream.
struct AnswerReaderTests {
    @Test(arguments: ["<html><body>Welcome</body></html>", "\n<!DOCTYPE html><p>Log in"])
    func `a web page is no LLM, which no retry can mend`(page: String) {
        let error = Reading.openAI(page).error
        #expect(error?.kind == .protocolError)
        #expect(error?.message.contains("AGENT_BASE_URL") == true)
    }

    @Test func `an error with status 200 is an error`() {
        #expect(
            Reading.anthropic(AnthropicDialect().errorBody(type: "overloaded_error", message: "x")).error?.kind
                == .overloaded)
        #expect(Reading.openAI(OpenAIDialect().errorBody(type: "server_error", message: "x")).error?.kind == .server)
    }

    @Test func `a document that is cut is truncated, and one that is something else malformed`() {
        for (document, decoder) in [
            (AnthropicDialect().document, AnthropicDecoder() as any AnswerDecoder),
            (OpenAIDialect().document, OpenAIDecoder()),
        ] {
            let bytes = Array(document.utf8)
            #expect(Reading(Array(bytes.dropLast(20)), decoder, cut: "reset").error?.kind == .truncated)
            #expect(Reading(Array(bytes.dropLast(20)), decoder).error?.kind == .server)
            #expect(Reading(Array("{}".utf8), decoder).error?.kind == .server)
            #expect(Reading(bytes, decoder, size: 3).reply?.content.count == 2)
            // JSON says where it ends, so this was not cut.
            #expect(Reading(bytes, decoder, cut: "reset").reply?.content.count == 2)
        }
    }

    @Test func `nothing, or nothing but white space, is truncated`() {
        #expect(Reading.openAI("").error?.kind == .truncated)
        #expect(Reading.openAI("\n \n").error?.kind == .truncated)
        #expect(Reading.anthropic("\n\n").error?.kind == .truncated)
    }

    @Test func `white space before a document and before a stream is passed over`() {
        #expect(Reading.openAI("\n\n  ", OpenAIDialect().document).reply?.content.count == 2)
        let dialect = OpenAIDialect()
        #expect(Reading.openAI("\n\n", (dialect.events + dialect.ending).joined()).reply?.content.count == 2)
    }

    @Test func `events that say nothing are passed over`() {
        for dialect in [AnthropicDialect(), OpenAIDialect()] as [any ProviderDialect] {
            let stream = (dialect.events + dialect.ending).map { "data:\n\ndata: \n\n" + $0 }.joined()
            let reading =
                dialect.name == "openai" ? Reading.openAI(stream) : Reading.anthropic(stream)
            #expect(reading.reply?.content == LLMProviderConformance.content)
        }
    }

    @Test func `JSON of any depth is read or refused, never a crash`() {
        let deep = String(repeating: "[", count: 100_000)
        #expect(Reading.openAI(deep).error?.kind == .server)
        #expect(Reading.openAI("data: \(deep)\n\n").error?.kind == .server)
        let arguments = "{\\\"a\\\":" + deep
        let reading = Reading.openAI(
            OpenAIDialect.delta(#"{"tool_calls":[{"id":"a","function":{"name":"look","arguments":"\#(arguments)"}}]}"#),
            OpenAIDialect.finish("stop"))
        #expect(reading.reply?.stop == .toolUse)
    }
}
