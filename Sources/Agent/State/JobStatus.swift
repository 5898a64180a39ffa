package import Events

/// A job's state as it is shown: for people and for machines.
package struct JobStatus {
    private let state: JobState
    private let last: ArraySlice<StoredEvent>

    /// `last`: the events that are shown as the newest.
    package init(state: JobState, last: ArraySlice<StoredEvent>) {
        self.state = state
        self.last = last
    }

    private var reason: String {
        switch state.status {
        case .waitingForTask, .running, .paused: ""
        case .backoff(let until, let reason): "\(reason); next try at \(timestamp(until))"
        case .needsInput(let reason), .finished(_, let reason): reason
        }
    }

    /// One object; `calls.reused` counts the results that the present process took from the journal.
    package var json: JSON {
        [
            "status": .string(state.status.word), "reason": .string(reason),
            "phase": .string(state.phase.rawValue), "phase_number": .int(Int64(state.phaseNumber)),
            "step": .int(Int64(state.spent.steps)), "epoch": .int(state.epoch), "seq": .int(state.seq),
            "task": state.task.map { .string($0) } ?? .null, "plan": .string(state.plan),
            "todos": .array(state.todos.map(\.json)),
            "background": .array(state.background.map { ["id": .string($0.id), "command": .string($0.command)] }),
            "calls": [
                "run": .int(Int64(state.callCounts.run)), "ended": .int(Int64(state.callCounts.ended)),
                "reused": .int(Int64(state.callCounts.reused)),
                "interrupted": .int(Int64(state.callCounts.interrupted)),
                "refused": .int(Int64(state.callCounts.refused)),
            ],
            "spent": [
                "input_tokens": .int(Int64(state.spent.inputTokens)),
                "output_tokens": .int(Int64(state.spent.outputTokens)),
                "lost_tokens": .int(Int64(state.spent.lostTokens)),
                "cost_usd": state.spent.hasUnknownCost ? .null : .double(state.spent.cost),
                "wall_ms": .int(state.spent.wall),
            ],
            "last_events": .array(
                last.map {
                    [
                        "seq": .int($0.seq), "time": .string(timestamp($0.time)), "kind": .string($0.event.kind),
                        "epoch": .int($0.epoch),
                    ]
                }),
        ]
    }

    /// Lines for a terminal.
    package var text: String {
        let spent = state.spent
        let cost = spent.hasUnknownCost ? "unknown cost" : "\(spent.cost) USD"
        let counts = state.callCounts
        var lines = [
            "Status  \(state.status.word)\(reason.isEmpty ? "" : ": \(shownLine(reason, limit: 1000))")",
            "Phase   \(state.phaseNumber), \(state.phase.rawValue), step \(spent.steps)",
            "Spent   \(spent.inputTokens) tokens in, \(spent.outputTokens) out, \(spent.lostTokens) lost; \(cost); "
                + "\(spent.wall / 1000) s at work",
            "Calls   \(counts.run) run, \(counts.reused) reused after the last start, \(counts.interrupted) interrupted, "
                + "\(counts.refused) refused",
            "Todos",
        ]
        if state.todos.isEmpty { lines.append("  none") }
        for todo in state.todos {
            let mark =
                switch todo.status {
                case .pending: "[ ]"
                case .inProgress: "[>]"
                case .done: "[x]"
                case .blocked: "[!]"
                case .dropped: "[-]"
                }
            lines.append("  \(mark) \(todo.id) \(shownLine(todo.title, limit: 200))")
            if let evidence = todo.evidence { lines.append("         \(shownLine(evidence, limit: 200))") }
        }
        lines.append("Last events")
        lines += last.map { "  \($0.seq)  \(timestamp($0.time))  \($0.event.kind)" }
        return lines.joined(separator: "\n")
    }
}

extension Todo {
    fileprivate var json: JSON {
        [
            "id": .string(id), "title": .string(title), "acceptance": .string(acceptance),
            "check": check.map { .string($0) } ?? .null, "status": .string(status.rawValue),
            "evidence": evidence.map { .string($0) } ?? .null, "attempts": .int(Int64(attempts)),
        ]
    }
}
