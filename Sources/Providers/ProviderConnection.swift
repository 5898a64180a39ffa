import Agent
import Contracts
import Events
import HTTP

/// What every provider's call has in common: one exchange, read by that provider's decoder. Used from one thread.
final class ProviderConnection {
    let endpoint: Endpoint
    private let headers: [String]
    private let configuration: ProviderConfiguration
    private let authentication: ProviderConfiguration.Authentication
    /// The key that is sent, and before it those that were, the newest last: a server may echo one in an error.
    private var keys: [String]

    private static let rememberedKeys = 16

    /// `headers` are the provider's own, besides the key.
    init(
        _ configuration: ProviderConfiguration, endpoint: Endpoint,
        authentication: ProviderConfiguration.Authentication, headers: [String]
    ) throws(StartError) {
        guard Self.isUsable(configuration.key) else {
            throw StartError(
                .configuration, "the LLM key is empty or contains a line break; accepted: a file with the key alone")
        }
        self.configuration = configuration
        self.endpoint = endpoint
        self.authentication = configuration.authentication ?? authentication
        keys = [configuration.key]
        self.headers =
            headers + [
                "content-type: application/json", "accept: text/event-stream, application/json",
                // Else libcurl waits up to a second for a 100 before it sends a large body.
                "Expect:",
            ]
    }

    /// Whether there is another key now than the one that was sent last.
    var hasOtherKey: Bool { otherKey != nil }

    private var otherKey: String? {
        guard let key = configuration.currentKey(), key != keys.last, Self.isUsable(key) else { return nil }
        return key
    }

    private static func isUsable(_ key: String) -> Bool { !key.isEmpty && isHeaderSafe(key) }

    private var keyHeader: String {
        switch authentication {
        case .apiKey: "x-api-key: \(keys.last ?? "")"
        case .bearer: "authorization: Bearer \(keys.last ?? "")"
        }
    }

    private var redaction: Redaction { Redaction(keys + configuration.network.secrets) }

    /// Sends the body and returns the whole answer. See `LLMProvider.complete`.
    func answer<Decoder: AnswerDecoder>(
        to body: JSON, model: String, decoder: Decoder, attention: any Attention, onDelta: (LLMDelta) -> Void
    ) throws(LLMError) -> LLMReply {
        try withKey { () throws(LLMError) in
            try exchange(body, model: model, decoder: decoder, attention: attention, onDelta: onDelta)
        }
    }

    /// Asks for the list of models. See `LLMProvider.models`.
    func models(attention: any Attention) throws(LLMError) -> [String]? {
        try withKey { () throws(LLMError) in try list(endpoint.beside("models"), attention) }
    }

    /// Sends something with the key as it is now. No key is in what it throws.
    private func withKey<Answer>(_ send: () throws(LLMError) -> Answer) throws(LLMError) -> Answer {
        if let key = otherKey { keys = keys.suffix(Self.rememberedKeys - 1) + [key] }
        do throws(LLMError) {
            return try send()
        } catch {
            var error = error
            // Also what libcurl says, which may quote a proxy's URL.
            error.message = redaction.clean(error.message)
            throw error
        }
    }

    private func list(_ url: String, _ attention: any Attention) throws(LLMError) -> [String]? {
        let exchange = try HTTPExchange(
            url: url, headers: headers + [keyHeader], body: nil, network: configuration.network,
            deadlines: configuration.deadlines, limits: configuration.limits)
        var body: [UInt8] = []
        let failure = try exchange.run(attention: attention) { bytes in
            body += bytes.prefix(configuration.limits.errorBody - body.count)
            return .progress
        }
        let head = exchange.head
        // A server that speaks the API need not have this of it.
        if [404, 405, 501].contains(head.status) { return nil }
        if head.status >= 200, !head.isSuccess {
            throw ErrorMapping(model: "", url: url, redaction: redaction).error(ErrorBody(body), head: head)
        }
        if let failure { throw failure.error(proxyStatus: exchange.proxyStatus, network: configuration.network) }
        guard let answer = try? JSON(parsing: body) else {
            throw LLMError(
                .protocolError, "\(url) answers with something that is not JSON; check AGENT_BASE_URL",
                status: head.status)
        }
        return answer["data"]?.array?.compactMap { $0["id"]?.string }
    }

    private func exchange<Decoder: AnswerDecoder>(
        _ body: JSON, model: String, decoder: Decoder, attention: any Attention, onDelta: (LLMDelta) -> Void
    ) throws(LLMError) -> LLMReply {
        let mapping = ErrorMapping(model: model, url: endpoint.url, redaction: redaction)
        let limits = configuration.limits
        let exchange = try HTTPExchange(
            url: endpoint.url, headers: headers + [keyHeader], body: Array(body.text.utf8),
            network: configuration.network,
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
            throw failure.error(proxyStatus: exchange.proxyStatus, network: configuration.network)
        }
        var reply = try reader.finish(cut: failure?.words)
        reply.requestID = head.requestID ?? reply.requestID
        return reply
    }
}
