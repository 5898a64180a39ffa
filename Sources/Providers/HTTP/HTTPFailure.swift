import Agent
import CCurl
import HTTP

extension HTTPExchange.Failure {
    /// What a transport failure before the answer means. `proxyStatus` is what the proxy answered to CONNECT, 0 if there
    /// was none.
    func error(proxyStatus: Int, network: HTTPConfiguration) -> LLMError {
        if proxyStatus == 407 {
            return LLMError(
                .invalidRequest,
                "the proxy wants a user and a password (HTTP 407); put them into HTTPS_PROXY: http://user:password@host"
            )
        }
        if proxyStatus >= 300 {
            return LLMError(.network, "the proxy refuses the connection (HTTP \(proxyStatus)): \(words)")
        }
        let file = network.authorities ?? "the system's certificate file"
        if code == CURLE_SSL_CACERT_BADFILE, let missing = network.missingAuthorities {
            return LLMError(.network, "\(missing); put it back: it is read again at each request")
        }
        return switch code {
        case CURLE_OPERATION_TIMEDOUT: LLMError(.timeout, words)
        // What is wrong is in it.
        case CURLE_SSL_CACERT_BADFILE:
            LLMError(
                .invalidRequest, "\(words); install ca-certificates, or set SSL_CERT_FILE (now \(file))")
        case CURLE_PEER_FAILED_VERIFICATION:
            LLMError(
                .network, "\(words); if a proxy signs with its own authority, put it into SSL_CERT_FILE (now \(file))")
        case CURLE_URL_MALFORMAT: LLMError(.invalidRequest, "\(words); check AGENT_BASE_URL")
        default: LLMError(.network, words)
        }
    }
}
