import Events

/// The whole journal in a form for other programs, or for people to read.
package enum Trajectory {
    /// One line an event: `seq`, `epoch`, `time`, `kind`, `body` as in docs/CHECKPOINT_FORMAT.md.
    ///
    /// - Throws: `EventCodingError`, which no event that was read from a journal gives.
    package static func line(_ stored: StoredEvent) throws(EventCodingError) -> String {
        let text = try stored.event.encoded()
        let object: JSON = [
            "seq": .int(stored.seq), "epoch": .int(stored.epoch), "time": .string(timestamp(stored.time)),
            "kind": .string(stored.event.kind), "body": (try? JSON(parsing: text)) ?? .string(text),
        ]
        return object.text
    }

    /// Markdown: phases as headings, the model's words, each call with its result, the todos at the end.
    package static func markdown(job: String, _ events: [StoredEvent]) -> String {
        var parts = ["# Job \(job)"]
        var calls: [String: Event.Call] = [:]
        for stored in events {
            switch stored.event {
            case .acquired(let body):
                parts.append("*\(timestamp(stored.time)): \(body.resumed ? "resumed" : "started") on \(body.host)*")
            case .restored(let body): parts.append("**Put back from a backup of event \(body.seq)**: \(body.reason)")
            case .taskReceived(let body): parts.append("## Task\n\n" + quoted(body.text))
            case .commandReceived(let body):
                parts.append(
                    "**Command \(body.kind.rawValue)**" + (body.text.isEmpty ? "" : "\n\n" + quoted(body.text)))
            case .llmIntent: break
            case .llmDone(let body):
                parts.append("### Step \(body.turn)")
                parts += body.content.compactMap(said)
                for call in body.calls { calls[call.id] = call }
            case .llmFailed(let body): parts.append("*The model did not answer: \(body.message)*")
            case .callStarted: break
            case .callFinished(let body):
                let headline = calls[body.call]?.headline ?? body.call
                parts.append("**\(body.outcome.rawValue)**\n\n" + fenced(headline) + "\n\n" + fenced(body.content))
            case .phaseChanged(let body):
                parts.append("## Phase \(body.number): \(body.to.rawValue)\n\n*\(body.reason)*")
            case .noted(let body): parts.append("*The loop to the model:*\n\n" + quoted(body.text))
            case .compacted(let body):
                parts.append(
                    "*The conversation was compacted: \(body.answers) answers are no longer shown to the model*")
            case .verified(let body):
                let report = body.report.map { "- \($0)" }.joined(separator: "\n")
                parts.append("**Verification \(body.passed ? "passed" : "failed")**\n\n\(report)")
            case .statusChanged(let body): parts.append("**\(body.status.word)**")
            case .backgroundEnded(let body):
                parts.append(
                    "*Background command \(body.call) is over: \(body.how.rawValue)*\n\n" + quoted(body.content))
            }
        }
        let state = JobState(folding: events)
        let todos = state.todos.map { "- \($0.id) \($0.title): \($0.status.rawValue)" }
        parts.append((["## Todos", ""] + (todos.isEmpty ? ["none"] : todos)).joined(separator: "\n"))
        if case .finished(let outcome, let reason) = state.status {
            parts.append("## End\n\n\(outcome.rawValue): \(reason)")
        }
        return parts.joined(separator: "\n\n") + "\n"
    }

    private static func said(_ block: Block) -> String? {
        switch block {
        case .text(let text): text
        case .thinking(let text, _): text.isEmpty ? nil : quoted(text)
        case .redactedThinking, .toolCall, .toolResult: nil
        }
    }

    private static func quoted(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { "> \($0)" }.joined(separator: "\n")
    }

    /// In a fence longer than any in the text, so that nothing in it ends it (CommonMark 0.31, 4.5).
    private static func fenced(_ text: String) -> String {
        var (longest, run) = (2, 0)
        for character in text.utf8 {
            run = character == UInt8(ascii: "`") ? run + 1 : 0
            longest = max(longest, run)
        }
        let fence = String(repeating: "`", count: longest + 1)
        return "\(fence)\n\(text)\n\(fence)"
    }
}
