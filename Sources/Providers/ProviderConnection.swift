import Agent
import Contracts
import Events
import HTTP

/// What every provider's call has in common: one exchange, read by that provider's decoder.
struct ProviderConnection {
    let endpoint: Endpoint
    private let headers: [String]
    private let configuration: ProviderConfiguration
    private let redaction: Redaction

    /// `headers` are the provider's own, besides the key.
    init(
        _ configuration: ProviderConfiguration, endpoint: Endpoint,
        authentication: ProviderConfiguration.Authentication, headers: [String]
    ) throws(StartError) {
        guard !configuration.key.isEmpty, isHeaderSafe(configuration.key) else {
            throw StartError(
                .configuration, "the LLM key is empty or contains a line break; accepted: a file with the key alone")
        }
        self.configuration = configuration
        self.endpoint = endpoint
        redaction = Redaction([configuration.key] + configuration.network.secrets)
        let key =
            switch configuration.authentication ?? authentication {
            case .apiKey: "x-api-key: \(configuration.key)"
            case .bearer: "authorization: Bearer \(configuration.key)"
            }
        self.headers =
            headers + [
                key, "content-type: application/json", "accept: text/event-stream, application/json",
                // Else libcurl waits up to a second for a 100 before it sends a large body.
                "Expect:",
            ]
    }

    /// Sends the body and returns the whole answer. See `LLMProvider.complete`.
    func answer<Decoder: AnswerDecoder>(
        to body: JSON, model: String, decoder: Decoder, attention: any Attention, onDelta: (LLMDelta) -> Void
    ) throws(LLMError) -> LLMReply {
        do throws(LLMError) {
            return try exchange(body, model: model, decoder: decoder, attention: attention, onDelta: onDelta)
        } catch {
            var error = error
            // Also what libcurl says, which may quote a proxy's URL.
            error.message = redaction.clean(error.message)
            throw error
        }
    }

    private func exchange<Decoder: AnswerDecoder>(
        _ body: JSON, model: String, decoder: Decoder, attention: any Attention, onDelta: (LLMDelta) -> Void
    ) throws(LLMError) -> LLMReply {
        let mapping = ErrorMapping(model: model, url: endpoint.url, redaction: redaction)
        let limits = configuration.limits
        let exchange = try HTTPExchange(
            url: endpoint.url, headers: headers, body: Array(body.text.utf8), network: configuration.network,
            deadlines: configuration.deadlines, limits: limits)
        var reader = AnswerReader(decoder: decoder, mapping: mapping, limits: limits)
        var errorBody: [UInt8] = []
        let failure = try exchange.run(attention: attention) { bytes throws(LLMError) in
            if exchange.head.isSuccess { return try reader.read(bytes, onDelta: onDelta) }
            errorBody += bytes.prefix(limits.errorBody - errorBody.count)
            return errorBody.count < limits.errorBody ? .progress : .enough
        }
        let head = exchange.head
        // An interim response (1xx) is no answer.
        if head.status >= 200, !head.isSuccess {
            if let refusal = mapping.refusal(errorBody) { return refusal }
            throw mapping.error(ErrorBody(errorBody), head: head)
        }
        if let failure, !reader.hasBegun {
            throw failure.error(
                proxyStatus: exchange.proxyStatus, authorities: configuration.network.authorities)
        }
        var reply = try reader.finish(cut: failure?.words)
        reply.requestID = head.requestID ?? reply.requestID
        return reply
    }
}
