import CCurl
import HTTP
import LinuxSystem

/// One request to the store and its answer: a libcurl easy handle, driven by the calling thread, and a connection of
/// its own. Ends within its deadlines. Not to be used again.
final class S3Exchange {
    /// Why the body was not taken; it ended the transfer.
    enum Breach {
        case tooLarge
        case noRoom(SystemError)
    }

    /// libcurl's own start, once in a process.
    private static let started = agent_curl_start()

    private let easy: UnsafeMutableRawPointer
    private let words: UnsafeMutablePointer<CChar>
    private let request: S3Request
    private let target: S3Target
    private let digest = Digest()
    private var lines: UnsafeMutablePointer<curl_slist>?
    private var headBytes = 0

    private(set) var head = HTTPHead()
    /// The body, if it was to come into memory or is that of an error.
    private(set) var body: [UInt8] = []
    /// Bytes of the body.
    private(set) var received: Int64 = 0
    private(set) var breach: Breach?

    /// - Returns: nil if libcurl gives no handle.
    init?(_ request: S3Request, target: S3Target) {
        guard Self.started == CURLE_OK, let easy = curl_easy_init() else { return nil }
        self.easy = easy
        self.request = request
        self.target = target
        words = .allocate(capacity: Int(CURL_ERROR_SIZE))
        words.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    }

    deinit {
        curl_easy_cleanup(easy)
        curl_slist_free_all(lines)
        words.deallocate()
    }

    /// Sends and receives.
    ///
    /// - Returns: how the transport ended, and libcurl's words for it.
    func run(_ network: HTTPConfiguration, _ limits: S3Limits) -> (CURLcode, String) {
        var code = configure(network, limits)
        if code == CURLE_OK { code = curl_easy_perform(easy) }
        let detail = String(cString: words)
        return (code, detail.isEmpty ? String(cString: curl_easy_strerror(code)) : detail)
    }

    /// The SHA-256 of the body, to be asked once.
    func bodyDigest() -> [UInt8] { digest.finish() }

    private func configure(_ network: HTTPConfiguration, _ limits: S3Limits) -> CURLcode {
        for line in request.lines { lines = curl_slist_append(lines, line) ?? lines }
        let context = Unmanaged.passUnretained(self).toOpaque()
        let moved = max(request.body?.size ?? 0, target.limit)
        var results = HTTPOptions.set(easy, url: request.url, network: network, connect: Int64(limits.connect))
        results += [
            agent_curl_set_pointer(easy, CURLOPT_ERRORBUFFER, words),
            agent_curl_set_list(easy, CURLOPT_HTTPHEADER, lines),
            // The path is signed as it stands.
            agent_curl_set_long(easy, CURLOPT_PATH_AS_IS, 1),
            agent_curl_set_long(easy, CURLOPT_LOW_SPEED_LIMIT, 1),
            agent_curl_set_long(easy, CURLOPT_LOW_SPEED_TIME, limits.stall),
            agent_curl_set_long(easy, CURLOPT_TIMEOUT_MS, limits.total(moved)),
            agent_curl_set_pointer(easy, CURLOPT_WRITEDATA, context),
            agent_curl_set_callback(easy, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
                guard let context else { return 0 }
                let exchange = Unmanaged<S3Exchange>.fromOpaque(context).takeUnretainedValue()
                return exchange.takeBody(UnsafeRawBufferPointer(start: bytes, count: size * count))
            },
            agent_curl_set_pointer(easy, CURLOPT_HEADERDATA, context),
            agent_curl_set_callback(easy, CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
                guard let context else { return 0 }
                let exchange = Unmanaged<S3Exchange>.fromOpaque(context).takeUnretainedValue()
                return exchange.takeHeader(UnsafeRawBufferPointer(start: bytes, count: size * count))
            },
        ]
        if let body = request.body {
            body.rewind()
            results += [
                agent_curl_set_long(easy, CURLOPT_UPLOAD, 1),
                // curl_off_t is a long on every 64-bit Linux.
                agent_curl_set_long(easy, CURLOPT_INFILESIZE_LARGE, Int(body.size)),
                agent_curl_set_pointer(easy, CURLOPT_READDATA, context),
                agent_curl_set_callback(easy, CURLOPT_READFUNCTION) { bytes, size, count, context in
                    guard let context else { return Int(CURL_READFUNC_ABORT) }
                    let exchange = Unmanaged<S3Exchange>.fromOpaque(context).takeUnretainedValue()
                    return exchange.giveBody(UnsafeMutableRawBufferPointer(start: bytes, count: size * count))
                },
            ]
        } else {
            results.append(agent_curl_set_string(easy, CURLOPT_CUSTOMREQUEST, request.method))
        }
        return results.first { $0 != CURLE_OK } ?? CURLE_OK
    }
}

// MARK: - What libcurl calls

// Nothing of ours may throw through C. A callback returns what it took; less ends the transfer.
extension S3Exchange {
    private func giveBody(_ buffer: UnsafeMutableRawBufferPointer) -> Int {
        request.body?.give(into: buffer) ?? Int(CURL_READFUNC_ABORT)
    }

    private func takeHeader(_ bytes: UnsafeRawBufferPointer) -> Int {
        headBytes += bytes.count
        guard headBytes <= S3Limits.head else { return 0 }
        head.take(line: bytes)
        return bytes.count
    }

    private func takeBody(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard head.isSuccess else {
            // What is beyond the limit of an error is read and dropped: the status is known already.
            body += bytes.prefix(S3Limits.error - body.count)
            return bytes.count
        }
        received += Int64(bytes.count)
        guard received <= target.limit else {
            breach = .tooLarge
            return 0
        }
        digest.update(bytes)
        switch target {
        case .memory: body += bytes
        case .file(let file, _):
            do throws(SystemError) {
                try file.write(bytes)
            } catch {
                breach = .noRoom(error)
                return 0
            }
        }
        return bytes.count
    }
}
