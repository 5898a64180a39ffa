/// Which model, where, at what price.
package struct ModelSettings: Equatable, Sendable {
    package enum API: String, Sendable, CaseIterable {
        case anthropic, openai

        /// The model that is asked if `AGENT_MODEL` is not set.
        var standardModel: String {
            switch self {
            case .anthropic: "claude-sonnet-4-5"
            case .openai: "gpt-5"
            }
        }
    }

    /// Nil: decided by which key the secrets folder has.
    package var api: API?
    package var baseURL: String?
    private var name: String?
    package var maxOutputTokens: Int
    /// US dollars for a million tokens; nil is unknown, which is not 0.
    package var inputPrice: Double?
    package var outputPrice: Double?
    /// How long the LLM may be out before the process exits with `tryAgain`, in milliseconds.
    package var outage: Int64

    init(_ source: SettingsSource) throws(StartError) {
        if let word = source["AGENT_PROVIDER"] {
            guard let api = API(rawValue: word) else {
                throw .setting("AGENT_PROVIDER", "is \"\(word)\"", accepted: "anthropic, openai")
            }
            self.api = api
        }
        baseURL = source["AGENT_BASE_URL"]
        if let baseURL, !baseURL.hasPrefix("http://"), !baseURL.hasPrefix("https://") {
            throw .setting("AGENT_BASE_URL", "is \"\(baseURL)\"", accepted: "an http:// or https:// URL")
        }
        name = source["AGENT_MODEL"]
        maxOutputTokens = try source.number("AGENT_MAX_OUTPUT_TOKENS", 256...1_000_000) ?? 16384
        inputPrice = try source.decimal("AGENT_PRICE_INPUT_PER_MTOK")
        outputPrice = try source.decimal("AGENT_PRICE_OUTPUT_PER_MTOK")
        outage = try source.seconds("AGENT_LLM_OUTAGE_SECONDS", 0...604_800, default: 300)
    }

    /// The model to ask through `api`.
    package func model(for api: API) -> String { name ?? api.standardModel }

    /// What an answer cost in US dollars; nil if the price or the usage is unknown.
    package func cost(of usage: TokenUsage?) -> Double? {
        guard let usage, let inputPrice, let outputPrice else { return nil }
        return (Double(usage.input) * inputPrice + Double(usage.output) * outputPrice) / 1_000_000
    }
}
