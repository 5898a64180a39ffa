package import Agent
import Contracts
import HTTP

/// Anthropic's Messages API, and servers that speak it.
package final class AnthropicProvider: LLMProvider {
    package let name = "anthropic"
    private let connection: ProviderConnection
    package var hasOtherKey: Bool { connection.hasOtherKey }

    /// - Throws: `StartError(.configuration)` if the base URL or the key cannot be used.
    package init(_ configuration: ProviderConfiguration) throws(StartError) {
        guard isHeaderSafe(configuration.anthropicVersion) else {
            throw StartError(.configuration, "the version of the Anthropic API contains control characters")
        }
        connection = try ProviderConnection(
            configuration,
            endpoint: Endpoint(
                base: configuration.baseURL ?? "https://api.anthropic.com", path: "messages", versionAnywhere: false),
            authentication: .apiKey, headers: ["anthropic-version: \(configuration.anthropicVersion)"])
    }

    package func complete(
        _ request: LLMRequest, attention: any Attention, onDelta: (LLMDelta) -> Void
    ) throws(LLMError) -> LLMReply {
        let isOwn = connection.endpoint.host == "api.anthropic.com"
        return try connection.answer(
            to: AnthropicRequest.body(request, needsSignatures: isOwn), model: request.model,
            decoder: AnthropicDecoder(), attention: attention, onDelta: onDelta)
    }

    package func models(attention: any Attention) throws(LLMError) -> [String]? {
        try connection.models(attention: attention)
    }
}
