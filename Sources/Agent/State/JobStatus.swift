package import Events
import LinuxSystem

/// A job's state as it is shown: for people and for machines.
package struct JobStatus {
    private let state: JobState
    private let last: ArraySlice<StoredEvent>
    private let tenure: Tenure
    private let now: Int64

    /// `last`: the events that are shown as the newest. `now` in milliseconds since 1970.
    package init(state: JobState, last: ArraySlice<StoredEvent>, tenure: Tenure = .unknown, now: Int64 = Clock.wall) {
        self.state = state
        self.last = last
        self.tenure = tenure
        self.now = now
    }

    /// Milliseconds since the last event, by the clock of whoever looks.
    private var age: Int64 { max(0, now - state.time) }

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
            "status": .string(state.status.word), "reason": .string(reason), "process": tenure.json,
            "last_event_age_ms": .int(age),
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
            "spent": state.spent.json,
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
        let guessed = spent.estimatedCost > 0 ? ", \(Self.dollars(spent.estimatedCost)) of it estimated" : ""
        let cost = spent.hasUnknownCost ? "unknown cost" : Self.dollars(spent.cost) + guessed
        let estimated =
            spent.estimatedTokens > 0 ? ", \(spent.estimatedTokens) estimated (not counted by the server)" : ""
        let counts = state.callCounts
        var lines = [
            "Status  \(state.status.word)\(reason.isEmpty ? "" : ": \(shownLine(reason, limit: 1000))")",
            "Process \(tenure.text); last event \(Self.duration(age)) ago",
            "Phase   \(state.phaseNumber), \(state.phase.rawValue), step \(spent.steps)",
            "Spent   \(spent.inputTokens) tokens in, \(spent.outputTokens) out, \(spent.lostTokens) lost\(estimated); \(cost); "
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

extension JobStatus {
    private static func dollars(_ amount: Double) -> String {
        let cents = Int64((amount * 10000).rounded())
        let digits = String(cents % 10000)
        return "\(cents / 10000)." + String(repeating: "0", count: 4 - digits.count) + digits + " USD"
    }

    /// In the largest unit that is not 0.
    private static func duration(_ milliseconds: Int64) -> String {
        let seconds = milliseconds / 1000
        for (unit, size) in [("d", 86400), ("h", 3600), ("min", 60)] as [(String, Int64)] where seconds >= size {
            return "\(seconds / size) \(unit)"
        }
        return "\(seconds) s"
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
