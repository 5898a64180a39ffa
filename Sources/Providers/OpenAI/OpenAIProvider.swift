package import Agent

/// OpenAI's Chat Completions API, and the many servers that speak it.
package final class OpenAIProvider: LLMProvider {
    package let name = "openai"
    private let connection: ProviderConnection
    package var hasOtherKey: Bool { connection.hasOtherKey }

    /// - Throws: `StartError(.configuration)` if the base URL or the key cannot be used.
    package init(_ configuration: ProviderConfiguration) throws(StartError) {
        connection = try ProviderConnection(
            configuration,
            endpoint: Endpoint(
                base: configuration.baseURL ?? "https://api.openai.com", path: "chat/completions",
                versionAnywhere: true),
            authentication: .bearer, headers: [])
    }

    package func complete(
        _ request: LLMRequest, attention: any Attention, onDelta: (LLMDelta) -> Void
    ) throws(LLMError) -> LLMReply {
        let isOwn = connection.endpoint.host == "api.openai.com"
        return try connection.answer(
            to: OpenAIRequest.body(request, isOpenAI: isOwn), model: request.model, decoder: OpenAIDecoder(),
            attention: attention, onDelta: onDelta)
    }

    package func models(attention: any Attention) throws(LLMError) -> [String]? {
        try connection.models(attention: attention)
    }
}
