import Agent
import ProviderConformance
import Testing

/// The contract of `LLMProvider`, tried on every provider over real HTTP.
@Suite(.timeLimit(.minutes(2))) struct ProviderContractTests {
    @Test(arguments: ProviderContract.points) func `Anthropic keeps the contract`(point: ProviderContract.Point) throws
    {
        try point.check(AnthropicDialect())
    }

    @Test(arguments: ProviderContract.points) func `OpenAI keeps the contract`(point: ProviderContract.Point) throws {
        try point.check(OpenAIDialect())
    }

    @Test func `each provider has its name`() throws {
        for dialect in [AnthropicDialect(), OpenAIDialect()] as [any ProviderDialect] {
            let provider = try dialect.makeProvider(baseURL: "http://127.0.0.1:9", time: ShortTimes())
            #expect(provider.name == dialect.name)
        }
    }
}
