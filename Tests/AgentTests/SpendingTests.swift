import Agent
import AgentFixtures
import Events
import Testing

/// What an answer counts for, told or not.
struct SpendingTests {
    /// A journal with one answer whose request was estimated at 400 tokens and allowed 600.
    private func answered(
        _ usage: TokenUsage?, estimate: Int? = nil, cost: Double? = nil, holdCost: Double? = nil
    ) -> JobState {
        var journal = JournalBuilder.begun()
        journal.append(.llmIntent(.init(turn: 1, attempt: 1, hold: 1000, input: 400, cost: holdCost)))
        journal.append(
            .llmDone(
                .init(
                    turn: 1, attempt: 1, content: [.text(String(repeating: "x", count: 80))], calls: [], stop: .endTurn,
                    usage: usage, estimate: estimate, cost: cost, duration: 1)))
        return journal.state
    }

    @Test(arguments: [nil, TokenUsage(), TokenUsage(input: 0, output: 7), TokenUsage(input: 7, output: 0)])
    func `an answer that was not counted is one of unknown usage`(usage: TokenUsage?) {
        #expect(usage?.isTold != true)
    }

    @Test func `an answer that was not counted counts as its hold, and is marked as estimated`() {
        let state = answered(TokenUsage(), estimate: 1000, cost: 0.5)
        #expect(state.spent.tokens == 1000 && state.spent.estimatedTokens == 1000)
        #expect(state.spent.inputTokens == 0 && state.spent.outputTokens == 0)
        #expect(state.spent.cost == 0.5 && state.spent.estimatedCost == 0.5)
        #expect(state.spent.json["estimated_tokens"]?.int == 1000)
        #expect(state.spent.json["estimated_cost_usd"] == .double(0.5))
    }

    @Test func `an answer that was counted counts as told`() {
        let state = answered(TokenUsage(input: 300, output: 20), cost: 0.25)
        #expect(state.spent.tokens == 320 && state.spent.estimatedTokens == 0)
        #expect(state.spent.cost == 0.25 && state.spent.estimatedCost == 0)
    }

    @Test func `the length of a conversation that nobody counts is estimated, not nothing`() {
        // The question's 400, and the answer's 80 bytes at four a token.
        #expect(answered(TokenUsage(), estimate: 1000).contextTokens == 420)
        #expect(answered(nil, estimate: 1000).contextTokens == 420)
        #expect(answered(TokenUsage(input: 300, output: 20)).contextTokens == 320)
    }

    @Test func `a lost answer counts as its hold in tokens and in money`() {
        var journal = JournalBuilder.begun()
        journal.append(.llmIntent(.init(turn: 1, attempt: 1, hold: 1000, input: 400, cost: 0.75)))
        journal.takeOver()
        let spent = journal.state.spent
        #expect(spent.lostTokens == 1000 && spent.cost == 0.75 && spent.estimatedCost == 0.75)
    }

    // MARK: Prices

    private func prices(_ changes: [String: String], _ api: ModelSettings.API) throws -> Prices? {
        let environment = ["JOB_ID": "j", "AGENT_TASK": "t"].merging(changes) { $1 }
        return try Settings(environment: environment).model.prices(for: api)
    }

    private static let both = ["AGENT_PRICE_INPUT_PER_MTOK": "10", "AGENT_PRICE_OUTPUT_PER_MTOK": "50"]

    @Test func `cached input has the provider's price, unless it is set`() throws {
        let anthropic = try #require(try prices(Self.both, .anthropic))
        #expect(anthropic.cacheRead == 1 && anthropic.cacheWrite == 12.5)
        let openai = try #require(try prices(Self.both, .openai))
        #expect(openai.cacheRead == 1 && openai.cacheWrite == 10)
        let other = Self.both.merging(["AGENT_BASE_URL": "http://127.0.0.1:1"]) { $1 }
        let elsewhere = try #require(try prices(other, .openai))
        #expect(elsewhere.cacheRead == 10 && elsewhere.cacheWrite == 10)
        let set = ["AGENT_PRICE_CACHE_READ_PER_MTOK": "0", "AGENT_PRICE_CACHE_WRITE_PER_MTOK": "3"]
        let own = try #require(try prices(Self.both.merging(set) { $1 }, .anthropic))
        #expect(own.cacheRead == 0 && own.cacheWrite == 3)
    }

    @Test func `an unknown price is unknown`() throws {
        #expect(try prices([:], .anthropic) == nil)
        #expect(try prices(["AGENT_PRICE_INPUT_PER_MTOK": "1"], .anthropic) == nil)
    }

    @Test func `each kind of token is charged at its own price`() throws {
        let prices = Prices(input: 10, output: 50, cacheRead: 1, cacheWrite: 12.5)
        let usage = TokenUsage(input: 1_000_000, output: 100_000, cacheRead: 700_000, cacheWrite: 200_000)
        // 100,000 plain, 700,000 read, 200,000 written, 100,000 answered.
        let (sum, most) = (1 + 0.7 + 2.5 + 5, 12.5 + 5)
        #expect(abs(prices.cost(of: usage) - sum) < 1e-9)
        #expect(abs(prices.cost(ofHold: 1_000_000, output: 100_000) - most) < 1e-9)
    }
}
