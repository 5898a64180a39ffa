import Agent

extension LLMProviderConformance {
    /// The list of models, which is asked for without a request that is paid.
    static let models: [Point] = [
        Point("the list of models is asked for by GET, with the key, and without a body") { dialect in
            let asked = try ask(dialect, HTTPText.response(body: Array(#"{"data":[{"id":"a"},{"id":"b"}]}"#.utf8)))
            try require(asked.models == ["a", "b"], "the models are \(String(describing: asked.models))")
            let request = try asked.onlyRequest()
            let folder = dialect.path.components(before: ["/messages", "/chat/completions"])
            try require(request.line == "GET \(folder)/models HTTP/1.1", request.line)
            try require(request.body.isEmpty, "it has a body")
            try require(request.headers.values.contains { $0.contains(key) }, "it has no key")
        },
        Point("a server without such a list is none that refuses") { dialect in
            for status in ["404 Not Found", "405 Method Not Allowed", "501 Not Implemented"] {
                let asked = try ask(dialect, HTTPText.response(status, body: []))
                try require(asked.error == nil && asked.models == nil, "\(status): \(String(describing: asked.error))")
            }
            let asked = try ask(dialect, HTTPText.response(body: Array(#"{"object":"list"}"#.utf8)))
            try require(asked.error == nil && asked.models == nil, "no data: \(String(describing: asked.error))")
        },
        Point("a key that is refused is said so, and is in no error") { dialect in
            let body = dialect.errorBody(type: "authentication_error", message: "invalid key \(key)")
            let asked = try ask(dialect, HTTPText.response("401 Unauthorized", body: Array(body.utf8)))
            try require(asked.error?.kind == .authentication, String(describing: asked.error))
            try require(asked.error?.message.contains(key) == false, "the key is in the error")
        },
        Point("a web page in its place is no list of models") { dialect in
            let asked = try ask(dialect, HTTPText.response(body: Array("<!DOCTYPE html><html></html>".utf8)))
            try require(asked.error?.kind == .protocolError, String(describing: asked.error))
        },
        Point("a server that says nothing is the network's fault") { dialect in
            try require(try ask(dialect, []).error?.kind == .network, "it is not")
        },
    ]

    private struct Asked {
        var models: [String]?
        var error: LLMError?
        var requests: [LoopbackServer.Request]

        func onlyRequest() throws -> LoopbackServer.Request {
            try require(requests.count == 1, "\(requests.count) requests were sent")
            return requests[0]
        }
    }

    private static func ask(_ dialect: any ProviderDialect, _ answer: [UInt8]) throws -> Asked {
        let server = try LoopbackServer([answer.isEmpty ? [] : [.send(answer)]])
        defer { server.stop() }
        let provider = try dialect.makeProvider(baseURL: server.url, time: ShortTimes()) { nil }
        do throws(LLMError) {
            let models = try provider.models(attention: CountingAttention())
            return Asked(models: models, error: nil, requests: server.requests)
        } catch {
            return Asked(models: nil, error: error, requests: server.requests)
        }
    }
}

extension String {
    fileprivate func components(before endings: [String]) -> Substring {
        endings.first { hasSuffix($0) }.map { dropLast($0.count) } ?? self[...]
    }
}
