package import Agent
package import HTTP

/// How to reach a provider.
package struct ProviderConfiguration: Sendable {
    /// How the key is sent.
    package enum Authentication: String, Sendable {
        /// `x-api-key: KEY`
        case apiKey
        /// `authorization: Bearer KEY`
        case bearer
    }

    /// Nil: the provider's own. With or without a trailing slash or `/v1`.
    package var baseURL: String?
    package var key: String
    /// The key as it is now; nil if it cannot be read.
    package var currentKey: @Sendable () -> String? = { nil }
    /// Nil: the provider's own way.
    package var authentication: Authentication?
    /// The `anthropic-version` header.
    package var anthropicVersion = "2023-06-01"
    package var network: HTTPConfiguration
    package var deadlines = HTTPDeadlines()
    package var limits = HTTPLimits()

    package init(baseURL: String? = nil, key: String, network: HTTPConfiguration) {
        self.baseURL = baseURL
        self.key = key
        self.network = network
    }
}

/// The provider for an API. The process must have SIGPIPE ignored: OpenSSL writes without MSG_NOSIGNAL.
///
/// - Throws: `StartError(.configuration)` if the base URL or the key cannot be used.
package func makeProvider(
    _ api: ModelSettings.API, _ configuration: ProviderConfiguration
) throws(StartError) -> any LLMProvider {
    switch api {
    case .anthropic: try AnthropicProvider(configuration)
    case .openai: try OpenAIProvider(configuration)
    }
}
