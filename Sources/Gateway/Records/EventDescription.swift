import Agent
import Events

/// What one journal event is in words, in attributes, and as a CloudEvent.
struct EventDescription {
    var body: String
    var severity = LogRecord.Severity.info
    var attributes: [String: JSON] = [:]
    var event: EventDraft?

    init(_ event: Event, before: JobState, after: JobState) {
        body = ""
        switch event {
        case .acquired(let body): acquired(body, after)
        case .restored(let body): restored(body)
        case .taskReceived(let body):
            self.body = "task (\(body.source)): \(body.text)"
            attributes["source"] = .string(body.source)
            self.event = EventDraft(
                "agent.task.received", ["source": .string(body.source), "text": .string(body.text)])
        case .commandReceived(let body): command(body)
        case .llmIntent(let body):
            severity = .debug
            self.body = "asks the model (answer \(body.turn), try \(body.attempt))"
            attributes = ["agent.turn": .int(Int64(body.turn)), "agent.attempt": .int(Int64(body.attempt))]
        case .llmDone(let body): answered(body)
        case .llmFailed(let body): failed(body)
        case .callStarted(let body): started(body, before.calls.first { $0.call.id == body.call }?.call)
        case .callFinished(let body): finished(body, before.calls.first { $0.call.id == body.call }?.call, after)
        case .phaseChanged(let body): phaseChanged(body)
        case .noted(let body):
            severity = body.kind == .stall ? .warn : .info
            self.body = "told the model: \(body.text)"
            attributes["note"] = .string(body.kind.rawValue)
        case .compacted(let body):
            self.body =
                "the conversation was compacted from about \(body.tokens) tokens: answers 1 to \(body.answers) are no longer "
                + "shown to the model"
            attributes = ["compacted.answers": .int(Int64(body.answers)), "compacted.tokens": .int(Int64(body.tokens))]
            self.event = EventDraft(
                "agent.compacted", ["answers": .int(Int64(body.answers)), "tokens": .int(Int64(body.tokens))])
        case .verified(let body): verified(body)
        case .statusChanged(let body): status(body.status)
        case .backgroundEnded(let body): backgroundEnded(body, before)
        }
    }

    private mutating func acquired(_ event: Event.Acquired, _ state: JobState) {
        body =
            event.resumed
            ? "resumed on \(event.host) at step \(state.spent.steps) of \(state.phase.rawValue): "
                + "\(state.callCounts.reused) finished calls are reused"
            : "started on \(event.host)"
        attributes = [
            "host.name": .string(event.host), "service.version": .string(event.version),
            "resumed": .bool(event.resumed), "calls.reused": .int(Int64(state.callCounts.reused)),
        ]
        self.event = EventDraft(
            "agent.started",
            [
                "host": .string(event.host), "version": .string(event.version), "resumed": .bool(event.resumed),
                "epoch": .int(state.epoch),
            ])
    }

    private mutating func restored(_ event: Event.Restored) {
        severity = .error
        body =
            "the checkpoint was put back from a backup of event \(event.seq): \(event.reason); the damaged file is "
            + event.aside
        attributes = ["backup.seq": .int(event.seq), "asks": .bool(event.asks), "file.path": .string(event.aside)]
        self.event = EventDraft(
            "agent.restored",
            ["seq": .int(event.seq), "reason": .string(event.reason), "asks": .bool(event.asks)])
    }

    private mutating func command(_ event: Event.CommandReceived) {
        body = "command \(event.kind.rawValue)" + (event.text.isEmpty ? "" : ": \(event.text)")
        attributes = ["command.id": .string(event.id), "command.kind": .string(event.kind.rawValue)]
        let type =
            switch event.kind {
            case .task: "agent.task.received"
            case .message: "agent.message.received"
            case .pause, .resume, .cancel: "agent.command.received"
            }
        self.event = EventDraft(
            type, ["id": .string(event.id), "kind": .string(event.kind.rawValue), "text": .string(event.text)])
    }

    private mutating func answered(_ event: Event.LLMDone) {
        var texts: [String] = []
        var thoughts: [String] = []
        for block in event.content {
            switch block {
            case .text(let text): texts.append(text)
            case .thinking(let text, _): thoughts.append(text)
            case .redactedThinking, .toolCall, .toolResult: break
            }
        }
        body = texts.joined(separator: "\n")
        if body.isEmpty { body = "answers with " + event.calls.map(\.tool).joined(separator: ", ") }
        attributes = [
            "agent.turn": .int(Int64(event.turn)), "has_text": .bool(!texts.isEmpty),
            "calls": .array(event.calls.map { ["id": .string($0.id), "tool": .string($0.tool)] }),
            "gen_ai.response.finish_reasons": [.string(event.stop.rawValue)], "duration_ms": .int(event.duration),
        ]
        if !thoughts.isEmpty { attributes["thinking"] = .string(thoughts.joined(separator: "\n")) }
        if let estimate = event.estimate {
            attributes["agent.usage.estimated_tokens"] = .int(Int64(estimate))
        } else if let usage = event.usage {
            attributes["gen_ai.usage.input_tokens"] = .int(Int64(usage.input))
            attributes["gen_ai.usage.output_tokens"] = .int(Int64(usage.output))
        }
        if let cost = event.cost { attributes["cost_usd"] = .double(cost) }
        if let model = event.model { attributes["gen_ai.response.model"] = .string(model) }
        if let id = event.requestID { attributes["gen_ai.response.id"] = .string(id) }
    }

    private mutating func failed(_ event: Event.LLMFailed) {
        severity = .warn
        body = "the model did not answer: \(event.message)"
        attributes = [
            "agent.turn": .int(Int64(event.turn)), "agent.attempt": .int(Int64(event.attempt)),
            "error.type": .string(event.kind.rawValue),
        ]
        if let retryAt = event.retryAt {
            body += "; next try at \(timestamp(retryAt))"
            attributes["agent.retry_at"] = .string(timestamp(retryAt))
        }
    }

    private mutating func started(_ event: Event.CallStarted, _ call: Event.Call?) {
        body = call?.headline ?? "call \(event.call)"
        attributes = Self.attributes(event.call, call)
        attributes["agent.attempt"] = .int(Int64(event.attempt))
        if let call { attributes["gen_ai.tool.call.arguments"] = call.input }
    }

    private mutating func finished(_ event: Event.CallFinished, _ call: Event.Call?, _ state: JobState) {
        body = event.content
        if event.outcome == .interrupted || event.outcome == .refused || event.facts["exhausted"] != nil {
            severity = .warn
        }
        attributes = event.facts
        attributes.merge(Self.attributes(event.call, call)) { _, ours in ours }
        if let code = event.facts["exit_code"] { attributes["process.exit.code"] = code }
        attributes["exit_code"] = nil
        attributes["outcome"] = .string(event.outcome.rawValue)
        attributes["duration_ms"] = .int(event.duration)
        // A refused call was never started, so nothing has said yet what it was.
        attributes["headline"] = call.map { .string($0.headline) }
        if let refused = event.facts["refusals"] {
            if severity == .info { severity = .warn }
            self.event = EventDraft(
                "agent.jail.refused",
                [
                    "call": .string(event.call), "refusals": refused, "refused": event.facts["refused"] ?? [],
                    "headline": attributes["headline"] ?? .null,
                ])
        }
        let todos = Self.changedTodos(event.effects, state)
        if !todos.isEmpty {
            attributes["todos"] = .array(todos)
            self.event = EventDraft("agent.todo.changed", ["todos": .array(todos)])
        }
        for case .planWritten(let plan) in event.effects { attributes["plan"] = .string(plan) }
        for case .artifactChanged(let path) in event.effects { attributes["file.path"] = .string(path) }
    }

    private mutating func phaseChanged(_ event: Event.PhaseChanged) {
        body = "phase \(event.number), \(event.to.rawValue): \(event.reason)"
        attributes = ["phase.from": .string(event.from.rawValue), "phase.reason": .string(event.reason)]
        self.event = EventDraft(
            "agent.phase.changed",
            [
                "from": .string(event.from.rawValue), "to": .string(event.to.rawValue),
                "number": .int(Int64(event.number)), "reason": .string(event.reason),
            ])
    }

    private mutating func verified(_ event: Event.Verified) {
        severity = event.passed ? .info : .warn
        body = "verification \(event.passed ? "passed" : "failed")"
        attributes = ["passed": .bool(event.passed), "report": .array(event.report.map { .string($0) })]
        self.event = EventDraft(
            event.passed ? "agent.verified" : "agent.verification.failed",
            ["report": .array(event.report.map { .string($0) })])
    }

    private mutating func status(_ status: Status) {
        body = status.word
        attributes["status"] = .string(status.word)
        switch status {
        case .waitingForTask, .running, .paused: break
        case .backoff(_, let reason), .needsInput(let reason):
            severity = .warn
            body += ": \(reason)"
        case .finished(let outcome, let reason):
            severity = outcome == .completed ? .info : .error
            body += ": \(reason)"
        }
    }

    private mutating func backgroundEnded(_ event: Event.BackgroundEnded, _ state: JobState) {
        let command = state.background.first { $0.id == event.call }?.command ?? ""
        body = "background command \(event.call) (\(command)) is over: \(event.how.rawValue)"
        if event.how == .lost || event.facts["exhausted"] != nil { severity = .warn }
        attributes = event.facts
        attributes["gen_ai.tool.call.id"] = .string(event.call)
        attributes["background.end"] = .string(event.how.rawValue)
    }

    // MARK: Parts

    private static func attributes(_ id: String, _ call: Event.Call?) -> [String: JSON] {
        var result: [String: JSON] = ["gen_ai.tool.call.id": .string(id)]
        if let call { result["gen_ai.tool.name"] = .string(call.tool) }
        return result
    }

    private static func changedTodos(_ effects: [Effect], _ state: JobState) -> [JSON] {
        var ids: [String] = []
        for effect in effects {
            switch effect {
            case .todosStaged(let new): ids += new.map(\.id)
            case .todoUpdated(let id, _, _): ids.append(id)
            default: break
            }
        }
        return state.todos.filter { ids.contains($0.id) }.map(json)
    }

    static func json(_ todo: Todo) -> JSON {
        [
            "id": .string(todo.id), "title": .string(todo.title), "status": .string(todo.status.rawValue),
            "acceptance": .string(todo.acceptance), "evidence": todo.evidence.map { .string($0) } ?? .null,
        ]
    }
}
