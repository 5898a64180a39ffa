import Agent
import Events

extension LLMProviderConformance {
    /// What a good server says.
    static let answers: [Point] = [
        Point("a chunked stream is a whole answer") { dialect in
            let trial = try Trial(
                dialect, [.send(HTTPText.chunkedHead + HTTPText.chunk(dialect.stream) + HTTPText.lastChunk)])
            try trial.requireAnswer()
            try require(trial.reply?.stop == .toolUse, "the stop is \(trial.reply?.stop.rawValue ?? "")")
            try require(
                trial.reply?.usage == TokenUsage(input: 12, output: 5),
                "usage: \(String(describing: trial.reply?.usage))")
        },
        Point("the pieces of a chunk may be cut anywhere") { dialect in
            let steps: [LoopbackServer.Step] = dialect.stream.enumerated().flatMap { index, byte in
                let step = LoopbackServer.Step.send(HTTPText.chunk([byte]))
                return index % 40 == 0 ? [step, .pause(milliseconds: 1)] : [step]
            }
            try Trial(dialect, [.send(HTTPText.chunkedHead)] + steps + [.send(HTTPText.lastChunk)]).requireAnswer()
        },
        Point("a stream that ends with its connection is a whole answer") { dialect in
            try Trial(dialect, [.send(HTTPText.openHead + dialect.stream)]).requireAnswer()
        },
        Point("after the terminal event nobody waits for the connection to close") { dialect in
            try Trial(
                dialect, [.send(HTTPText.chunkedHead + HTTPText.chunk(dialect.stream)), .stall],
                time: ShortTimes(trailer: 200)
            ).requireAnswer()
        },
        Point("a server that does not stream gives a whole answer too") { dialect in
            try Trial(dialect, [.send(HTTPText.response(body: Array(dialect.document.utf8)))]).requireAnswer()
        },
        Point("pings, comments, unknown events and interim responses are passed over") { dialect in
            let noise = dialect.ping + ": comment\n\n" + "data: {\"type\":\"news\",\"choices\":[]}\n\n"
            let stream = dialect.events.map { noise + $0 }.joined() + dialect.ending.joined()
            try Trial(
                dialect,
                [
                    .send(Array("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n".utf8)),
                    .send(HTTPText.openHead + Array(stream.utf8)),
                ]
            ).requireAnswer()
        },
        Point("deltas come in order, and together they are the text") { dialect in
            let trial = try Trial(dialect, [.send(HTTPText.openHead + dialect.stream)])
            try require(trial.deltas == [.text("Hel"), .text("lo")], "deltas: \(trial.deltas)")
        },
        Point("a call whose input was cut at the limit is not in the answer") { dialect in
            let trial = try Trial(dialect, [.send(HTTPText.openHead + Array(dialect.cutCall.joined().utf8))])
            try trial.requireAnswer([.text("Hello")])
            try require(trial.reply?.stop == .maxTokens, "the stop is \(trial.reply?.stop.rawValue ?? "")")
        },
        Point("a call whose input is malformed has it as a text, for the loop to refuse") { dialect in
            let trial = try Trial(dialect, [.send(HTTPText.openHead + Array(dialect.malformedCall.joined().utf8))])
            try trial.requireAnswer([.toolCall(id: "c1", name: "look", input: .string("{\"at\":"))])
        },
        Point("the provider's name for the request is in the answer") { dialect in
            let head = HTTPText.head("200 OK", ["request-id: req-7", "x-request-id: req-7", "connection: close"])
            let trial = try Trial(dialect, [.send(head + dialect.stream)])
            try require(trial.reply?.requestID == "req-7", "request id: \(trial.reply?.requestID ?? "none")")
            try require(trial.reply?.model == "some-model", "model: \(trial.reply?.model ?? "none")")
        },
        Point("the request goes to its path as one JSON document, with the key in a header only") { dialect in
            let trial = try Trial(dialect, [.send(HTTPText.openHead + dialect.stream)])
            let sent = trial.requests.first
            try require(sent?.line == "POST \(dialect.path) HTTP/1.1", "request line: \(sent?.line ?? "none")")
            try require(sent?.headers.values.contains { $0.hasSuffix(key) } == true, "the key is in no header")
            try require(sent?.headers["expect"] == nil, "an Expect header was sent")
            let text = String(decoding: sent?.body ?? [], as: UTF8.self)
            try require(!text.contains(key), "the key is in the body")
            let body = try JSON(parsing: text)
            try require(body["stream"] == true && body["model"] == "some-model", "body: \(text)")
        },
        Point("a conversation of two megabytes is sent whole") { dialect in
            var long = request
            let text = String(repeating: "0123456789abcdef", count: 131_072)
            long.messages = [Message(role: .user, content: [.text(text)])]
            let trial = try Trial(dialect, [.send(HTTPText.openHead + dialect.stream)], request: long)
            try trial.requireAnswer()
            try require(trial.requests.first?.body.count ?? 0 > text.utf8.count, "the body is too short")
        },
    ]
}
