/// What a model's tokens cost, in US dollars for a million.
package struct Prices: Equatable, Sendable {
    /// Input that is in no cache.
    package var input: Double
    package var output: Double
    /// Input that was read from the provider's cache, and input that was written to it.
    package var cacheRead: Double
    package var cacheWrite: Double

    package init(input: Double, output: Double, cacheRead: Double, cacheWrite: Double) {
        self.input = input
        self.output = output
        self.cacheRead = cacheRead
        self.cacheWrite = cacheWrite
    }

    /// What an answer cost.
    package func cost(of usage: TokenUsage) -> Double {
        let plain = max(0, usage.input - usage.cacheRead - usage.cacheWrite)
        return
            (Double(plain) * input + Double(usage.cacheRead) * cacheRead + Double(usage.cacheWrite) * cacheWrite
            + Double(usage.output) * output) / 1_000_000
    }

    /// What a request can cost at most, as far as its length is known.
    package func cost(ofHold input: Int, output: Int) -> Double {
        // Written to a cache it costs the most of all.
        (Double(input) * max(self.input, cacheWrite) + Double(output) * self.output) / 1_000_000
    }
}

extension ModelSettings {
    /// The prices that are set. Those of cached input are, if they are not set, parts of the input's: for Anthropic 0.1
    /// and 1.25 (its pricing page, "Prompt caching"; newer models charge less for a read); for OpenAI's own API 0.1 and 1
    /// (GPT-5 and later; its pricing page, "Cached input"); elsewhere all input costs the same, for nothing is known.
    ///
    /// - Returns: nil if a price is unknown, which is not 0.
    package func prices(for api: API) -> Prices? {
        guard let inputPrice, let outputPrice else { return nil }
        let (read, write): (Double, Double) =
            switch api {
            case .anthropic: (0.1, 1.25)
            case .openai: baseURL == nil ? (0.1, 1) : (1, 1)
            }
        return Prices(
            input: inputPrice, output: outputPrice, cacheRead: cacheReadPrice ?? inputPrice * read,
            cacheWrite: cacheWritePrice ?? inputPrice * write)
    }
}
