import Contracts

/// Which model, where, at what price.
package struct ModelSettings: Equatable, Sendable {
    package enum API: String, Sendable, CaseIterable {
        case anthropic, openai

        /// The model that is asked if `AGENT_MODEL` is not set; nil if there is none.
        ///
        /// Looked up on 2026-12-01: claude-sonnet-4-5 was retired on 2026-11-30. OpenAI's own API takes tools on Chat
        /// Completions from none of its current models (GPT-5.6 and later answer 400), so one must be named there; a
        /// server that speaks the same wire mostly has one model and does not mind the name.
        func standardModel(isOwn: Bool) -> String? {
            switch self {
            case .anthropic: "claude-sonnet-4-6"
            case .openai: isOwn ? nil : "gpt-5.4"
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
    /// Those of input that is read from the provider's cache, or written to it; nil takes the provider's (`Prices`).
    package var cacheReadPrice: Double?
    package var cacheWritePrice: Double?
    /// How long the LLM may be out before the process exits with `tryAgain`, in milliseconds.
    package var outage: Int64

    init(_ source: SettingsSource) {
        api = source.word("AGENT_PROVIDER")
        baseURL = source["AGENT_BASE_URL"]
        if let baseURL, !baseURL.hasPrefix("http://"), !baseURL.hasPrefix("https://") {
            source.refuse(.setting("AGENT_BASE_URL", "is \"\(baseURL)\"", accepted: "an http:// or https:// URL"))
        }
        name = source["AGENT_MODEL"]
        maxOutputTokens = source.number("AGENT_MAX_OUTPUT_TOKENS", 256...1_000_000) ?? 16384
        inputPrice = source.decimal("AGENT_PRICE_INPUT_PER_MTOK")
        outputPrice = source.decimal("AGENT_PRICE_OUTPUT_PER_MTOK")
        cacheReadPrice = source.decimal("AGENT_PRICE_CACHE_READ_PER_MTOK")
        cacheWritePrice = source.decimal("AGENT_PRICE_CACHE_WRITE_PER_MTOK")
        outage = source.seconds("AGENT_LLM_OUTAGE_SECONDS", 0...604_800, default: 300)
    }

    /// The model to ask through `api`.
    ///
    /// - Throws: `StartError(.configuration)` if none is set and there is none to take in its place.
    package func model(for api: API) throws(StartError) -> String {
        if let name = name ?? api.standardModel(isOwn: baseURL == nil) { return name }
        throw StartError(
            .configuration,
            "AGENT_MODEL is not set, and there is no model to take in its place for \(api.rawValue): set it to one that takes "
                + "tools on Chat Completions, which OpenAI's models from GPT-5.6 on do not")
    }
}
