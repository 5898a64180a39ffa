package import Agent
package import Events

/// Builds a journal event by event, as a ledger would, for tests of what follows from it.
package struct JournalBuilder {
    package private(set) var events: [StoredEvent] = []
    package var epoch: Int64 = 1
    package var time: Int64 = 1000

    package init() {}

    package var state: JobState { JobState(folding: events) }

    package mutating func append(_ event: Event) {
        time += 10
        events.append(StoredEvent(seq: Int64(events.count + 1), epoch: epoch, time: time, event: event))
    }

    /// A new process takes the job over.
    package mutating func takeOver() {
        epoch += 1
        append(.acquired(.init(version: "test", host: "test", resumed: epoch > 1)))
    }

    /// A job that has its task and waits for the first answer.
    package static func begun() -> JournalBuilder {
        var journal = JournalBuilder()
        journal.append(.acquired(.init(version: "test", host: "test", resumed: false)))
        journal.append(.taskReceived(.init(text: "Do it", source: "AGENT_TASK")))
        journal.enter(.strategic, number: 1)
        return journal
    }

    package mutating func enter(_ phase: Phase, number: Int) {
        append(.phaseChanged(.init(from: state.phase, to: phase, number: number, reason: "test", brief: "brief")))
    }

    package mutating func intend(hold: Int = 100) {
        append(.llmIntent(.init(turn: state.spent.steps + 1, attempt: state.failures + 1, hold: hold)))
    }

    /// An answer that calls these tools, in order.
    package mutating func answer(
        _ tools: [(tool: String, input: JSON, isIdempotent: Bool)] = [], text: String = "text", stop: StopReason? = nil,
        usage: TokenUsage? = TokenUsage(input: 100, output: 10)
    ) {
        intend()
        let turn = state.spent.steps + 1
        var content: [Block] = [.text(text)]
        var calls: [Event.Call] = []
        for (position, tool) in tools.enumerated() {
            content.append(.toolCall(id: "call_\(position)", name: tool.tool, input: tool.input))
            calls.append(
                .init(
                    id: "\(turn).\(position)", providerID: "call_\(position)", tool: tool.tool, input: tool.input,
                    isIdempotent: tool.isIdempotent))
        }
        append(
            .llmDone(
                .init(
                    turn: turn, attempt: 1, content: content, calls: calls,
                    stop: stop ?? (tools.isEmpty ? .endTurn : .toolUse), usage: usage,
                    duration: 5)))
    }

    package mutating func start(_ call: String, attempt: Int = 1) {
        append(.callStarted(.init(call: call, attempt: attempt)))
    }

    package mutating func finish(
        _ call: String, _ outcome: Event.CallFinished.Outcome = .done, effects: [Effect] = [], content: String = "ok"
    ) {
        append(
            .callFinished(
                .init(call: call, outcome: outcome, content: content, effects: effects, facts: [:], duration: 1)))
    }

    /// An answer with one call, run to its end.
    package mutating func step(_ tool: String, effects: [Effect] = [], isIdempotent: Bool = true) {
        answer([(tool, [:], isIdempotent)])
        let call = "\(state.spent.steps).0"
        start(call)
        finish(call, effects: effects)
    }
}

/// Whether a conversation is one that both APIs accept: it alternates, and each answer's calls are answered, all and
/// in order, at the head of the next message.
package func pairingProblem(_ messages: [Message]) -> String? {
    for (index, message) in messages.enumerated() {
        if index == 0, message.role != .user { return "it does not begin with the user" }
        if index > 0, messages[index - 1].role == message.role { return "two messages of \(message.role) in a row" }
        if message.content.isEmpty { return "message \(index) is empty" }
        let wanted = index > 0 ? callIDs(messages[index - 1]) : []
        if message.role == .user {
            let given = message.content.prefix(wanted.count).compactMap { block -> String? in
                if case .toolResult(let id, _, _) = block { id } else { nil }
            }
            if given != wanted { return "message \(index) answers \(given), not \(wanted)" }
            let rest = message.content.dropFirst(wanted.count)
            if rest.contains(where: { if case .toolResult = $0 { true } else { false } }) {
                return "message \(index) has a result without a call"
            }
        }
    }
    return nil
}

private func callIDs(_ message: Message) -> [String] {
    message.content.compactMap { block in
        if case .toolCall(let id, _, _) = block { id } else { nil }
    }
}

/// What the model reads last, as text.
package func lastMessage(of journal: JournalBuilder) -> String {
    (journal.state.messages.last?.content ?? []).map { block in
        switch block {
        case .text(let text): text
        case .toolResult(_, let content, _): content
        default: ""
        }
    }.joined(separator: "\n")
}
