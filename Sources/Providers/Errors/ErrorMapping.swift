package import Agent
import Events
package import HTTP
import LinuxSystem

/// What a provider's error means for the job: whether another try is of use, and what a human should look at.
package struct ErrorMapping: Sendable {
    /// The model that was asked, and where: for the hint.
    let model: String
    let url: String
    let redaction: Redaction

    /// For errors about `model` at `url`.
    package init(model: String, url: String, redaction: Redaction) {
        self.model = model
        self.url = url
        self.redaction = redaction
    }

    /// The error of an answer with an error status.
    package func error(_ body: ErrorBody, head: HTTPHead) -> LLMError {
        var kind = Self.kind(status: head.status, body)
        let shouldRetry = Self.flag(head["x-should-retry"])
        // The provider knows best what its status means; what no retry can mend stays.
        if shouldRetry == true, kind == .invalidRequest { kind = .server }
        let words = body.message.trimmed.isEmpty ? "an error without a body" : redaction.excerpt(body.message)
        let request = head.requestID.map { " [request \(redaction.excerpt($0, limit: 100))]" } ?? ""
        return LLMError(
            kind, words + hint(kind, status: head.status, body) + request, status: head.status,
            retryAfter: RetryAfter.milliseconds(head, now: Clock.wall), shouldRetry: shouldRetry,
            isForbidden: kind == .authentication && Self.isForbidden(body))
    }

    /// The error of a stream that began well. The request was accepted, so what is not known can be tried again.
    package func error(_ fault: AnswerFault) -> LLMError {
        switch fault {
        case .malformed(let words):
            let isPage = words.trimmed.contains("<html") || words.contains("<!DOCTYPE") || words.contains("<!doctype")
            return isPage
                ? LLMError(
                    .protocolError, "this is a web page, no LLM: \(redaction.excerpt(words)); check AGENT_BASE_URL",
                    status: 200)
                : LLMError(.server, "the answer is malformed: \(redaction.excerpt(words))", status: 200)
        case .provider(let json):
            let body = ErrorBody(json)
            let kind = Self.kind(status: body.status, body)
            return LLMError(
                kind, redaction.excerpt(body.message) + hint(kind, status: nil, body), status: body.status ?? 200,
                isForbidden: kind == .authentication && Self.isForbidden(body))
        }
    }

    /// An error that is in truth an answer: the provider's filter refuses the conversation.
    package func refusal(_ bytes: [UInt8]) -> LLMReply? {
        let body = ErrorBody(bytes)
        guard body.code == "content_filter" || body.type == "content_filter" else { return nil }
        return LLMReply(content: [.text(redaction.excerpt(body.message))], stop: .refusal)
    }

    private func hint(_ kind: LLMError.Kind, status: Int?, _ body: ErrorBody) -> String {
        guard kind == .invalidRequest else { return "" }
        if Self.isAboutModel(body) { return "; check AGENT_MODEL (\(model))" }
        switch status {
        case 404, 405: return "; check AGENT_BASE_URL (\(url)) and AGENT_MODEL (\(model))"
        case let code? where (300..<400).contains(code):
            return "; redirects are not followed, check AGENT_BASE_URL (\(url))"
        default: return ""
        }
    }

    static func flag(_ text: String?) -> Bool? {
        switch text?.lowercased() {
        case "true": true
        case "false": false
        default: nil
        }
    }
}

// MARK: - The table

extension ErrorMapping {
    /// The status is nil in the midst of a stream.
    static func kind(status: Int?, _ body: ErrorBody) -> LLMError.Kind {
        if isAboutQuota(status: status, body) { return .quota }
        let isDenial = status == 401 || status == 403
        // OpenAI denies a model that the project may not use with 403.
        if isDenial { return isAboutModel(body) ? .invalidRequest : .authentication }
        // "Request too large … tokens per minute" is a matter of rate.
        if status != 429, !body.type.contains("rate_limit"), isAboutOverflow(status: status, body) { return .overflow }
        if status == nil || status == 400, isAboutKey(body) { return .authentication }
        if let kind = kindOfType(body.type) ?? kindOfType(body.code) {
            // A status above 499 with the type of a refused request is the server's own trouble.
            if kind != .invalidRequest || status.map({ $0 < 500 && $0 != 429 && $0 != 408 && $0 != 409 }) ?? true {
                return kind
            }
        }
        return kindOfStatus(status)
    }

    private static func kindOfType(_ type: String) -> LLMError.Kind? {
        switch type {
        case "overloaded_error", "overloaded", "service_unavailable", "unavailable", "engine_overloaded_error":
            .overloaded
        case "rate_limit_error", "rate_limit_exceeded", "rate_limit_reached_error", "too_many_requests",
            "resource_exhausted":
            .rateLimited
        case "api_error", "server_error", "internal_server_error", "internal_error", "internal": .server
        case "timeout_error", "timeout", "deadline_exceeded": .timeout
        case "authentication_error", "permission_error", "permission_denied", "unauthenticated": .authentication
        case "invalid_request_error", "not_found_error", "model_not_found", "bad_request", "invalid_argument":
            .invalidRequest
        default: nil
        }
    }

    private static func kindOfStatus(_ status: Int?) -> LLMError.Kind {
        switch status {
        case nil, 200: .server
        case 408: .timeout
        case 409: .server
        case 429: .rateLimited
        case 503, 529: .overloaded
        case let code? where code >= 500: .server
        default: .invalidRequest
        }
    }

    private static func isAboutQuota(status: Int?, _ body: ErrorBody) -> Bool {
        let names = [
            "insufficient_quota", "exceeded_current_quota_error", "billing_error", "billing_hard_limit_reached",
            "billing_not_active", "insufficient_balance", "insufficient_credits",
        ]
        if status == 402 || names.contains(body.type) || names.contains(body.code) { return true }
        return mentions(body, ["credit balance is too low", "insufficient balance", "insufficient credits"])
    }

    private static func isAboutOverflow(status: Int?, _ body: ErrorBody) -> Bool {
        if status == 413 || body.type == "request_too_large" { return true }
        let names = ["context_length_exceeded", "exceed_context_size_error", "context_window_exceeded"]
        if names.contains(body.type) || names.contains(body.code) { return true }
        return mentions(
            body,
            [
                "prompt is too long", "context_length_exceeded", "maximum context length", "exceed context limit",
                "exceeds the context", "exceed the context", "exceeds the maximum number of tokens",
                "exceeds the available context", "input is too long", "maximum prompt length",
                "exceeded model token limit", "reduce the length of the messages",
            ])
    }

    /// Some servers refuse a key with 400.
    private static func isAboutKey(_ body: ErrorBody) -> Bool {
        if ["invalid_api_key", "authentication_error", "api_key_invalid"].contains(where: {
            $0 == body.code || $0 == body.type
        }) {
            return true
        }
        return mentions(
            body,
            [
                "invalid api key", "incorrect api key", "api key not valid", "invalid x-api-key", "api key is invalid",
                "invalid authentication", "authentication failed", "unauthorized", "api key not found",
                "api_key_invalid",
            ])
    }

    /// The key is known and not allowed this: by permission, scope or place. Anthropic says `permission_error` (403), Google
    /// `PERMISSION_DENIED` (403), OpenAI `unsupported_country_region_territory` (403) and, for a restricted key, 401 with
    /// `invalid_request_error` and "… insufficient permissions for this operation. Missing scopes: …".
    ///
    /// A 403 that says nothing of the kind may as well be about the key: gateways refuse an unknown one so.
    private static func isForbidden(_ body: ErrorBody) -> Bool {
        let names = [
            "permission_error", "permission_denied", "insufficient_permissions", "missing_scope", "forbidden",
            "access_denied", "unsupported_country_region_territory",
        ]
        if names.contains(body.type) || names.contains(body.code) { return true }
        return mentions(
            body, ["insufficient permissions", "missing scopes", "country, region, or territory not supported"])
    }

    private static func isAboutModel(_ body: ErrorBody) -> Bool {
        if body.code == "model_not_found" || body.type == "model_not_found" { return true }
        let text = body.message.lowercased()
        if body.type == "not_found_error", text.hasPrefix("model:") { return true }
        return text.contains("model")
            && mentions(
                body,
                [
                    "not found", "does not exist", "not exist", "unknown model", "invalid model", "not a valid model",
                    "no such model", "not supported", "model_not_found", "not have access",
                ])
    }

    private static func mentions(_ body: ErrorBody, _ phrases: [String]) -> Bool {
        let text = body.message.prefix(8192).lowercased()
        return phrases.contains { text.contains($0) }
    }
}
