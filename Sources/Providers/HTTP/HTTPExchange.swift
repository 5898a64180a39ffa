import Agent
import CCurl
import HTTP
import LinuxSystem

/// One request and its answer, over a libcurl multi handle that the calling thread drives itself.
///
/// Each exchange has a connection of its own, never a reused one: on a reused connection that the server has closed
/// meanwhile, libcurl sends a POST a second time without saying so, and a request is paid for. The price, a TLS
/// handshake for every request, is small beside the time a model takes.
///
/// One thread only, and not to be used again after `run`.
final class HTTPExchange {
    /// How the transport ended, if not well.
    struct Failure {
        let code: CURLcode
        let words: String
    }

    /// libcurl's own start, once in a process.
    private static let started = agent_curl_start()

    private let easy: UnsafeMutableRawPointer
    private let multi: UnsafeMutableRawPointer
    private let words: UnsafeMutablePointer<CChar>
    private var headers: UnsafeMutablePointer<curl_slist>?
    private let limits: HTTPLimits
    private var clock: ExchangeClock

    private(set) var head = HTTPHead()
    private var headBytes = 0
    private var bodyBytes = 0
    /// Copied by the callback, not yet taken by `run`. libcurl brings at most a few buffers of 16 KiB in one perform.
    private var received: [UInt8] = []
    /// The limit that a callback found exceeded; it ended the transfer.
    private var breach: LLMError?

    /// Prepares the exchange, a POST of `body`, or a GET without one; nothing is sent yet.
    init(
        url: String, headers lines: [String], body: [UInt8]?, network: HTTPConfiguration, deadlines: HTTPDeadlines,
        limits: HTTPLimits
    ) throws(LLMError) {
        guard Self.started == CURLE_OK, let multi = curl_multi_init() else {
            throw LLMError(.network, "libcurl cannot be started")
        }
        guard let easy = curl_easy_init() else {
            curl_multi_cleanup(multi)
            throw LLMError(.network, "libcurl gives no handle")
        }
        self.multi = multi
        self.easy = easy
        words = .allocate(capacity: Int(CURL_ERROR_SIZE))
        words.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        self.limits = limits
        clock = ExchangeClock(deadlines)
        for line in lines { headers = curl_slist_append(headers, line) ?? headers }
        try configure(url: url, body: body, network: network, connect: deadlines.connect)
        guard curl_multi_add_handle(multi, easy) == CURLM_OK else {
            throw LLMError(.network, "libcurl does not take the transfer")
        }
    }

    deinit {
        curl_multi_remove_handle(multi, easy)
        curl_easy_cleanup(easy)
        curl_multi_cleanup(multi)
        curl_slist_free_all(headers)
        words.deallocate()
    }

    /// Sends the request and gives the body, piece by piece, to `receive`, which is called on this thread only.
    ///
    /// - Returns: how the transport failed; nil if it ended well or `receive` had enough.
    /// - Throws: what `receive` throws; `timeout`; `interrupted`, within a second; `protocolError` for a limit.
    func run(
        attention: any Attention, receive: ([UInt8]) throws(LLMError) -> Reception
    ) throws(LLMError) -> Failure? {
        while true {
            if let interruption = attention.attend() {
                throw LLMError(.interrupted, interruption == .stop ? "the agent is stopping" : "the job is cancelled")
            }
            var running: Int32 = 0
            try check(curl_multi_perform(multi, &running))
            if !received.isEmpty {
                let bytes = received
                received.removeAll(keepingCapacity: true)
                let reception = try receive(bytes)
                clock.note(reception)
                if reception == .enough { return nil }
            }
            if let breach { throw breach }
            if let result = finishedResult() { return result == CURLE_OK ? nil : failure(result) }
            if let failure = clock.failure { throw failure }
            if clock.isTrailerOver { return nil }
            try wait(attention.descriptors)
        }
    }

    /// Waits at most a second, so that the heart beats, for the transfer or what the loop looks after.
    private func wait(_ descriptors: [Int32]) throws(LLMError) {
        var others = descriptors.filter { $0 >= 0 }.map {
            curl_waitfd(fd: $0, events: Int16(CURL_WAIT_POLLIN), revents: 0)
        }
        let count = UInt32(others.count)
        let timeout = Int32(clamping: min(1000, clock.next.remaining))
        try check(curl_multi_poll(multi, &others, count, timeout, nil))
    }

    private func check(_ code: CURLMcode) throws(LLMError) {
        guard code != CURLM_OK else { return }
        throw LLMError(.network, "libcurl: \(String(cString: curl_multi_strerror(code)))")
    }

    /// The result of the transfer, once it is over.
    private func finishedResult() -> CURLcode? {
        var left: Int32 = 0
        while let message = curl_multi_info_read(multi, &left) {
            if message.pointee.msg == CURLMSG_DONE { return message.pointee.data.result }
        }
        return nil
    }

    private func failure(_ code: CURLcode) -> Failure {
        let detail = String(cString: words)
        return Failure(code: code, words: detail.isEmpty ? String(cString: curl_easy_strerror(code)) : detail)
    }

    /// What the proxy answered to CONNECT, 0 if there was none.
    var proxyStatus: Int {
        var status = 0
        return agent_curl_get_long(easy, CURLINFO_HTTP_CONNECTCODE, &status) == CURLE_OK ? status : 0
    }
}

// MARK: - What libcurl calls

// A callback only copies: nothing of ours may throw through C. It returns what it took; less ends the transfer.
extension HTTPExchange {
    private func takeBody(_ bytes: UnsafeRawBufferPointer) -> Int {
        clock.noteBytes()
        bodyBytes += bytes.count
        guard bodyBytes <= limits.body else {
            breach = LLMError(.protocolError, "the answer is larger than \(limits.body) bytes", status: head.status)
            return 0
        }
        received.append(contentsOf: bytes)
        return bytes.count
    }

    private func takeHeader(_ bytes: UnsafeRawBufferPointer) -> Int {
        clock.noteBytes()
        headBytes += bytes.count
        guard headBytes <= limits.head else {
            breach = LLMError(.protocolError, "the headers are larger than \(limits.head) bytes")
            return 0
        }
        head.take(line: bytes)
        return bytes.count
    }

    private func configure(
        url: String, body: [UInt8]?, network: HTTPConfiguration, connect: Int64
    ) throws(LLMError) {
        let context = Unmanaged.passUnretained(self).toOpaque()
        var results = [
            agent_curl_set_pointer(easy, CURLOPT_ERRORBUFFER, words),
            agent_curl_set_list(easy, CURLOPT_HTTPHEADER, headers),
            agent_curl_set_pointer(easy, CURLOPT_WRITEDATA, context),
            agent_curl_set_callback(easy, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
                guard let context else { return 0 }
                let exchange = Unmanaged<HTTPExchange>.fromOpaque(context).takeUnretainedValue()
                return exchange.takeBody(UnsafeRawBufferPointer(start: bytes, count: size * count))
            },
            agent_curl_set_pointer(easy, CURLOPT_HEADERDATA, context),
            agent_curl_set_callback(easy, CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
                guard let context else { return 0 }
                let exchange = Unmanaged<HTTPExchange>.fromOpaque(context).takeUnretainedValue()
                return exchange.takeHeader(UnsafeRawBufferPointer(start: bytes, count: size * count))
            },
        ]
        results += HTTPOptions.set(easy, url: url, network: network, connect: connect)
        // Empty: every encoding that libcurl can undo. Limits count what comes out.
        results.append(agent_curl_set_string(easy, CURLOPT_ACCEPT_ENCODING, ""))
        results += (body ?? []).withUnsafeBytes { bytes in
            // The size goes first: COPYPOSTFIELDS reads it.
            body == nil
                ? []
                : [
                    agent_curl_set_long(easy, CURLOPT_POST, 1),
                    agent_curl_set_long(easy, CURLOPT_POSTFIELDSIZE, bytes.count),
                    agent_curl_set_pointer(
                        easy, CURLOPT_COPYPOSTFIELDS, UnsafeMutableRawPointer(mutating: bytes.baseAddress)),
                ]
        }
        guard let refusal = results.first(where: { $0 != CURLE_OK }) else { return }
        throw LLMError(.invalidRequest, "libcurl: \(String(cString: curl_easy_strerror(refusal)))")
    }
}
