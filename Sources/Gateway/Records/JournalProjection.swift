package import Agent
import Events

/// Turns the events of the journal into records for people and machines.
///
/// It folds the journal as the loop does, so that a record can say what a call was and what a step changed. The
/// conversation, which only the model needs, is dropped.
package struct JournalProjection {
    /// The state after the last event, without its conversation.
    package private(set) var state = JobState()

    package init() {}

    /// Takes an event that is in the spool already.
    package mutating func fold(_ stored: StoredEvent) {
        state.apply(stored)
        state.messages = []
    }

    /// Takes the next event.
    package mutating func entry(for stored: StoredEvent) -> SpoolEntry {
        let before = state
        fold(stored)
        var description = EventDescription(stored.event, before: before, after: state)
        description.attributes["event.name"] = .string(stored.event.kind)
        description.attributes["journal.seq"] = .int(stored.seq)
        description.attributes["agent.epoch"] = .int(stored.epoch)
        description.attributes["agent.phase"] = .string(state.phase.rawValue)
        description.attributes["agent.phase_number"] = .int(Int64(state.phaseNumber))
        description.attributes["agent.step"] = .int(Int64(state.spent.steps))
        let record = LogRecord(
            time: stored.time, severity: description.severity, stream: .journal, body: description.body,
            attributes: description.attributes)
        return SpoolEntry(record, event: statusChange(from: before) ?? description.event)
    }

    /// Where the job has got to counts for more than what got it there.
    private func statusChange(from before: JobState) -> EventDraft? {
        guard before.status.word != state.status.word else { return nil }
        switch (before.status, state.status) {
        case (_, .finished(let outcome, let reason)):
            var data = progress
            data["reason"] = .string(reason)
            if outcome == .completed, let claim = state.claim {
                data["deliverables"] = .array(claim.deliverables.map { .string($0) })
            }
            let type =
                switch outcome {
                case .completed: "agent.completed"
                case .failed: "agent.failed"
                case .cancelled: "agent.cancelled"
                case .budgetExhausted: "agent.budget.exhausted"
                }
            return EventDraft(type, .object(data))
        case (_, .needsInput(let reason)):
            return EventDraft("agent.needs_input", ["question": .string(reason)])
        case (_, .paused): return EventDraft("agent.paused", [:])
        case (.paused, .running), (.paused, .backoff): return EventDraft("agent.resumed", [:])
        default: return nil
        }
    }

    private var progress: [String: JSON] {
        var progress = state.spent.json.object ?? [:]
        progress["todos"] = .array(state.todos.map(EventDescription.json))
        return progress
    }
}
