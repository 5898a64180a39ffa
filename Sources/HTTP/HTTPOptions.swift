package import CCurl

/// The options that are the same for every exchange, whatever it is with.
package enum HTTPOptions {
    /// - Returns: libcurl's answer to each option.
    package static func set(
        _ easy: UnsafeMutableRawPointer, url: String, network: HTTPConfiguration, connect: Int64
    ) -> [CURLcode] {
        var results = [
            agent_curl_set_string(easy, CURLOPT_URL, url),
            agent_curl_set_string(easy, CURLOPT_PROTOCOLS_STR, "http,https"),
            // A redirect would carry the key to another host.
            agent_curl_set_long(easy, CURLOPT_FOLLOWLOCATION, 0),
            agent_curl_set_long(easy, CURLOPT_FRESH_CONNECT, 1),
            agent_curl_set_long(easy, CURLOPT_FORBID_REUSE, 1),
            agent_curl_set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, Int(connect)),
            // No SIGALRM from the resolver. It also leaves SIGPIPE to the process, which has it ignored.
            agent_curl_set_long(easy, CURLOPT_NOSIGNAL, 1),
            // Without it, ending an exchange waits for a resolver thread that hangs (7.87 and later).
            agent_curl_set_long(easy, CURLOPT_QUICK_EXIT, 1),
            agent_curl_set_long(easy, CURLOPT_TCP_KEEPALIVE, 1),
            agent_curl_set_string(easy, CURLOPT_USERAGENT, "agent-init"),
            agent_curl_set_string(easy, CURLOPT_PROXY, network.proxy(for: url)),
            agent_curl_set_string(easy, CURLOPT_NOPROXY, network.proxyExceptions ?? ""),
            agent_curl_set_long(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1),
        ]
        if let authorities = network.authorities {
            results.append(agent_curl_set_string(easy, CURLOPT_CAINFO, authorities))
            results.append(agent_curl_set_string(easy, CURLOPT_PROXY_CAINFO, authorities))
        }
        return results
    }
}
