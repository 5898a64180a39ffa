import Agent
import ProviderConformance
import Testing

/// The contract of `LLMProvider`, tried on every provider over real HTTP.
@Suite(.timeLimit(.minutes(2))) struct LLMProviderTests {
    @Test(arguments: LLMProviderConformance.points) func `Anthropic keeps the contract`(
        point: LLMProviderConformance.Point
    ) throws {
        try point.check(AnthropicDialect())
    }

    @Test(arguments: LLMProviderConformance.points) func `OpenAI keeps the contract`(
        point: LLMProviderConformance.Point
    ) throws {
        try point.check(OpenAIDialect())
    }

    @Test func `a server that finishes without DONE and keeps the connection open is not waited for long`() throws {
        let stream = OpenAIDialect().events.joined() + OpenAIDialect.finish("tool_calls") + OpenAIDialect.usage
        let server = try LoopbackServer([[.send(HTTPText.openHead + Array(stream.utf8)), .stall]])
        defer { server.stop() }
        let provider = try OpenAIDialect().makeProvider(
            baseURL: server.url, time: ShortTimes(byteIdle: 60_000, trailer: 200)
        ) { nil }
        let reply = try provider.complete(LLMProviderConformance.request, attention: CountingAttention()) { _ in }
        #expect(reply.content == LLMProviderConformance.content)
        #expect(reply.usage == TokenUsage(input: 12, output: 5))
    }

    @Test func `each provider has its name`() throws {
        for dialect in [AnthropicDialect(), OpenAIDialect()] as [any ProviderDialect] {
            let provider = try dialect.makeProvider(baseURL: "http://127.0.0.1:9", time: ShortTimes()) { nil }
            #expect(provider.name == dialect.name)
        }
    }
}
