import Agent
import Events
import Synchronization

extension LLMProviderConformance {
    /// What a bad server or network does.
    static let failures: [Point] = [
        Point("a stream cut after any event is truncated, in chunks or not, however the transport ends") { dialect in
            for count in 0..<dialect.events.count {
                let part = Array(dialect.events[..<count].joined().utf8)
                // Without its last chunk; with it; at the end of the connection.
                let bodies = [
                    HTTPText.chunkedHead + (part.isEmpty ? [] : HTTPText.chunk(part)),
                    HTTPText.chunkedHead + (part.isEmpty ? [] : HTTPText.chunk(part)) + HTTPText.lastChunk,
                    HTTPText.openHead + part,
                ]
                for (form, body) in bodies.enumerated() {
                    let trial = try Trial(dialect, [.send(body)])
                    // Before the first byte of a body, a cut may as well be the network's.
                    if count == 0, form == 0, trial.error?.kind == .network { continue }
                    try trial.requireError(.truncated)
                }
            }
        },
        Point("a stream whose connection is reset is truncated") { dialect in
            let part = Array(dialect.events.joined().utf8)
            // The pause lets the client read before the reset throws the bytes away.
            let trial = try Trial(
                dialect,
                [.send(HTTPText.chunkedHead + HTTPText.chunk(part)), .pause(milliseconds: 200), .reset])
            try trial.requireError(.truncated)
            try require(trial.error?.isRetryable == true, "it is not tried again")
        },
        Point("a connection that is reset before the answer is the network's fault") { dialect in
            try Trial(dialect, [.reset]).requireError(.network)
        },
        Point("a server that closes without a word is the network's fault, and is asked only once") { dialect in
            try Trial(dialect, []).requireError(.network)
        },
        Point("an interim response is no answer") { dialect in
            try Trial(dialect, [.send(Array("HTTP/1.1 103 Early Hints\r\n\r\n".utf8))]).requireError(.network)
        },
        Point("a server that speaks no HTTP is the network's fault") { dialect in
            try Trial(dialect, [.send(Array("SSH-2.0-OpenSSH_9.2\r\n".utf8))]).requireError(.network)
        },
        Point("a port on which nobody listens is the network's fault") { dialect in
            let server = try LoopbackServer([])
            server.stop()
            let provider = try dialect.makeProvider(baseURL: server.url, time: ShortTimes()) { nil }
            var failure: LLMError?
            do throws(LLMError) {
                _ = try provider.complete(request, attention: CountingAttention()) { _ in }
            } catch {
                failure = error
            }
            try require(failure?.kind == .network && failure?.isRetryable == true, "\(String(describing: failure))")
        },
        Point("an error event in the stream is the provider's word, and the part before it is dropped") { dialect in
            let stream = dialect.events.joined() + dialect.overloadedEvent + dialect.ending.joined()
            let trial = try Trial(dialect, [.send(HTTPText.openHead + Array(stream.utf8))])
            try trial.requireError(.overloaded)
            try require(trial.error?.isRetryable == true, "it is not tried again")
        },
        Point("529 is overloaded, with the provider's wish for the next try") { dialect in
            let body = Array(dialect.errorBody(type: "overloaded_error", message: "Overloaded").utf8)
            let trial = try Trial(
                dialect, [.send(HTTPText.response("529 Overloaded", ["Retry-After: 7"], body: body))])
            try trial.requireError(.overloaded)
            try require(trial.error?.retryAfter == 7000, "retry after: \(String(describing: trial.error?.retryAfter))")
            try require(trial.error?.status == 529, "status: \(String(describing: trial.error?.status))")
        },
        Point("429 is a matter of rate, 503 of load, 500 the server's") { dialect in
            for (status, kind) in [
                ("429 Too Many Requests", LLMError.Kind.rateLimited), ("503 Unavailable", .overloaded),
                ("500 Internal Server Error", .server), ("502 Bad Gateway", .server), ("408 Request Timeout", .timeout),
            ] {
                let trial = try Trial(dialect, [.send(HTTPText.response(status, body: Array("<html>x</html>".utf8)))])
                try trial.requireError(kind)
                try require(trial.error?.isRetryable == true, "\(status) is not tried again")
            }
        },
        Point("401 is authentication, is not tried again, and never shows the key") { dialect in
            let body = dialect.errorBody(type: "authentication_error", message: "invalid key \(key) given")
            let trial = try Trial(dialect, [.send(HTTPText.response("401 Unauthorized", body: Array(body.utf8)))])
            try trial.requireError(.authentication)
            try require(trial.error?.isRetryable == false, "it is tried again")
            try require(trial.error?.message.contains(key) == false, "the key is in the error")
            try require(trial.error?.message.contains("given") == true, "the server's words are lost")
        },
        Point("another key is sent from the next request on; the former one, and one that cannot be sent, are not") {
            dialect in
            let body = dialect.errorBody(type: "authentication_error", message: "invalid key \(key) or \(rotatedKey)")
            let server = try LoopbackServer([[.send(HTTPText.response("401 Unauthorized", body: Array(body.utf8)))]])
            defer { server.stop() }
            let current = Mutex<String?>(key)
            let provider = try dialect.makeProvider(baseURL: server.url, time: ShortTimes()) {
                current.withLock { $0 }
            }
            try require(!provider.hasOtherKey, "it has another key before there is one")
            for (given, isOther) in [(rotatedKey, true), ("two\nlines", false), ("", false), (nil, false)] {
                current.withLock { $0 = given }
                try require(provider.hasOtherKey == isOther, "\(given ?? "none") is another key: \(!isOther)")
                do throws(LLMError) {
                    _ = try provider.complete(request, attention: CountingAttention()) { _ in }
                } catch {
                    try require(error.kind == .authentication, "\(error)")
                    try require(!error.message.contains(rotatedKey), "the key is in the error")
                    try require(!error.message.contains(key), "the former key is in the error")
                }
                try require(!provider.hasOtherKey, "it has another key than the one it has just sent")
            }
            let sent = server.requests.map { $0.headers["x-api-key"] ?? $0.headers["authorization"] ?? "" }
            try require(sent.count == 4 && sent.allSatisfy { $0.hasSuffix(rotatedKey) }, "\(sent)")
        },
        Point("a key that the server echoes in its stream is not in the error") { dialect in
            let event = dialect.overloadedEvent.replacing("busy", with: key)
            let trial = try Trial(dialect, [.send(HTTPText.openHead + Array(event.utf8))])
            try require(dialect.overloadedEvent.contains("busy"), "the event does not say busy")
            try require(trial.error?.message.contains(key) == false, "the key is in the error")
        },
        Point("a redirect is not followed") { dialect in
            let server = try LoopbackServer([[.send(HTTPText.openHead + dialect.stream)]])
            defer { server.stop() }
            let trial = try Trial(
                dialect,
                [.send(HTTPText.response("307 Temporary Redirect", ["location: \(server.url)/v1/x"], body: []))])
            try trial.requireError(.invalidRequest)
            try require(server.requests.isEmpty, "the key went to another server")
        },
        Point("an event above its limit and a body above its limit end the exchange") { dialect in
            let filler = [UInt8](repeating: UInt8(ascii: "x"), count: 65536)
            try Trial(
                dialect, [.send(HTTPText.openHead + Array("data: ".utf8)), .flood(filler)],
                time: ShortTimes(eventLimit: 100_000)
            ).requireError(.protocolError)
            try Trial(
                dialect, [.send(HTTPText.openHead), .flood(Array((dialect.ping + ": x\n\n").utf8))],
                time: ShortTimes(bodyLimit: 200_000)
            ).requireError(.protocolError)
        },
        Point("an error's body without end is cut") { dialect in
            try Trial(
                dialect,
                [.send(HTTPText.head("500 Oh", ["connection: close"])), .flood([UInt8](repeating: 0x78, count: 65536))]
            ).requireError(.server)
        },
        Point("headers without end end the exchange") { dialect in
            try Trial(
                dialect, [.send(Array("HTTP/1.1 200 OK\r\n".utf8)), .flood(Array("x-filler: 0123456789\r\n".utf8))]
            ).requireError(.protocolError)
        },
    ]
}
