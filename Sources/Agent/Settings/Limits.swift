import Contracts

/// What a job may spend. Nil is no limit.
package struct Limits: Equatable, Sendable {
    /// Answers of the model, in the job and in one phase.
    package var steps = 200
    package var stepsInPhase = 60
    /// Input and output tokens, lost answers included.
    package var tokens: Int?
    /// US dollars.
    package var cost: Double?
    /// Milliseconds in which a process was at work.
    package var wall: Int64?
    /// Tokens that the model's context window holds.
    package var window = 200_000
    /// Calls without a change of a todo or an artifact after which the model is told, and after as many again the
    /// phase ends (15: docs/ARCHITECTURE.md, "The loop").
    package var stall = 15
    /// Answers in a row without a tool call after which the job has failed.
    package var silentAnswers = 3
    /// Blocked todos that end a tactical phase.
    package var blocked = 2

    package init() {}

    init(_ source: SettingsSource) {
        steps = source.number("AGENT_MAX_STEPS", 1...1_000_000) ?? steps
        stepsInPhase = source.number("AGENT_PHASE_MAX_STEPS", 1...1_000_000) ?? stepsInPhase
        window = source.number("AGENT_CONTEXT_TOKENS", 4096...100_000_000) ?? window
        tokens = source.number("AGENT_MAX_TOKENS", 1...1_000_000_000_000)
        cost = source.decimal("AGENT_MAX_COST_USD")
        wall = source.number("AGENT_MAX_WALL_SECONDS", 1...31_536_000).map { Int64($0) * 1000 }
        if cost != nil, source["AGENT_PRICE_INPUT_PER_MTOK"] == nil || source["AGENT_PRICE_OUTPUT_PER_MTOK"] == nil {
            source.refuse(
                StartError(
                    .configuration,
                    "AGENT_MAX_COST_USD cannot be kept without prices: set AGENT_PRICE_INPUT_PER_MTOK and "
                        + "AGENT_PRICE_OUTPUT_PER_MTOK (US dollars for a million tokens)"))
        }
    }

    /// The first budget that is spent, in words; nil if there is none.
    package func exhausted(by spent: Spent) -> String? {
        if spent.steps >= steps { return "AGENT_MAX_STEPS: \(spent.steps) of \(steps) steps are used" }
        if let tokens, spent.tokens >= tokens {
            return "AGENT_MAX_TOKENS: \(spent.tokens) of \(tokens) tokens are used"
        }
        if let cost, spent.cost >= cost {
            return "AGENT_MAX_COST_USD: \(spent.cost) of \(cost) US dollars are spent"
        }
        if let wall, spent.wall >= wall {
            return "AGENT_MAX_WALL_SECONDS: \(spent.wall / 1000) of \(wall / 1000) seconds are used"
        }
        return nil
    }
}
