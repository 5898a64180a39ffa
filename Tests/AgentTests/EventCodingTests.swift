import Agent
import AgentFixtures
import Events
import Testing

struct EventCodingTests {
    /// One of each kind, with every optional both ways over the list.
    static let all: [Event] = [
        .acquired(.init(version: "1", host: "h", resumed: true)),
        .restored(.init(seq: 4, reason: "r", aside: "/a", asks: true)),
        .taskReceived(.init(text: "t\u{0}\u{2028}", source: "AGENT_TASK")),
        .commandReceived(.init(id: "i", kind: .cancel, text: "")),
        .llmIntent(.init(turn: 1, attempt: 2, hold: 3)),
        .llmDone(
            .init(
                turn: 1, attempt: 1,
                content: [
                    .thinking(text: "hm", signature: "s=="), .thinking(text: "hm", signature: nil),
                    .redactedThinking(data: "xx"), .text("é"),
                    .toolCall(id: "c", name: "execute", input: ["a": [1, .double(2.5), "x", nil, true]]),
                    .toolResult(id: "c", content: "r", isError: true),
                ],
                calls: [
                    .init(id: "1.0", providerID: "c", tool: "execute", input: .string("{bad"), isIdempotent: false)
                ],
                stop: .toolUse, usage: TokenUsage(input: 1, output: 2, cacheRead: 3, cacheWrite: 4), cost: 0.25,
                model: "m", requestID: "r", duration: 9)),
        .llmDone(.init(turn: 1, attempt: 1, content: [], calls: [], stop: .contextWindow, usage: nil, duration: 0)),
        .llmFailed(.init(turn: 1, attempt: 1, kind: .rateLimited, message: "m", retryAt: 5)),
        .llmFailed(.init(turn: 1, attempt: 1, kind: .overflow, message: "m", retryAt: nil)),
        .callStarted(.init(call: "1.0", attempt: 1)),
        .callFinished(
            .init(
                call: "1.0", outcome: .interrupted, content: "c",
                effects: [
                    .planWritten("p"), .todosStaged([Todo(id: "t1", title: "T", acceptance: "A", check: "true")]),
                    .todoUpdated(id: "t1", status: .inProgress, evidence: nil), .tacticalRequested,
                    .phaseEnded(reason: "r"), .questionAsked("q"),
                    .completionClaimed(summary: "s", deliverables: ["d"]), .artifactChanged(path: "p"),
                    .backgroundStarted(id: "1.0", command: "c"),
                ], facts: ["exit_code": 1], duration: 1)),
        .phaseChanged(.init(from: .strategic, to: .tactical, number: 2, reason: "r", brief: "b")),
        .noted(.init(kind: .stall, text: "n")),
        .compacted(.init(dropped: 3, answers: 1, tokens: 9, words: ["w"], digest: ["d"], brief: "b")),
        .verified(.init(passed: false, report: ["failed: x"])),
        .backgroundEnded(.init(call: "1.0", how: .lost, content: "c", facts: ["exit_code": 1])),
        .statusChanged(.init(status: .backoff(until: 1, reason: "r"))),
        .statusChanged(.init(status: .finished(.budgetExhausted, reason: "r"))),
    ]

    @Test(arguments: all)
    func `every event is read back as it was written`(event: Event) throws {
        #expect(try Event(kind: event.kind, body: event.encoded()) == event)
    }

    @Test func `all kinds are listed`() {
        #expect(Set(Self.all.map(\.kind)) == Set(Event.kinds))
    }

    @Test func `an unknown kind and a body that is damaged are errors`() {
        #expect(throws: EventCodingError.self) { try Event(kind: "later", body: "{}") }
        #expect(throws: EventCodingError.self) { try Event(kind: "noted", body: "{\"kind\":\"stall\"}") }
        #expect(throws: EventCodingError.self) { try Event(kind: "noted", body: "") }
    }
}
