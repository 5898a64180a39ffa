/// What the agent is at.
package enum Phase: String, Codable, Sendable, CaseIterable {
    /// Think and plan: read-only.
    case strategic = "STRATEGIC"
    /// Act: commands and edits.
    case tactical = "TACTICAL"
    /// The job is claimed to be done; its deliverables, todos and acceptance commands are checked.
    case verify = "VERIFY"
}

/// Where the job stands, beside its phase.
package enum Status: Codable, Equatable, Sendable {
    /// No task has come yet.
    case waitingForTask
    case running
    /// Waiting, on request.
    case paused
    /// Waiting for the LLM to become usable again, until that moment (milliseconds since 1970).
    case backoff(until: Int64, reason: String)
    /// Waiting for a human's message.
    case needsInput(reason: String)
    /// Over for good: nothing comes after it.
    case finished(Outcome, reason: String)

    /// The word for it in logs, `status` and the termination message.
    package var word: String {
        switch self {
        case .waitingForTask: "waiting_for_task"
        case .running: "running"
        case .paused: "paused"
        case .backoff: "backoff"
        case .needsInput: "needs_input"
        case .finished(let outcome, _): outcome.rawValue
        }
    }
}

/// How a job ended for good.
package enum Outcome: String, Codable, Sendable {
    case completed, failed, cancelled
    case budgetExhausted = "budget_exhausted"
}
