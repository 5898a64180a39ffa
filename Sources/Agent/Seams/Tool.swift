package import Events

/// A call of a tool, as the model asked for it.
package struct ToolCall {
    /// Ours, unique in the job.
    package let id: String
    package let input: ToolInput
    /// The job as it stands before the call.
    package let state: JobState
    package let attention: any Attention

    package init(id: String, input: ToolInput, state: JobState, attention: any Attention) {
        self.id = id
        self.input = input
        self.state = state
        self.attention = attention
    }
}

/// What came of a call.
package struct ToolResult: Equatable, Sendable {
    /// What the model is told.
    package var content: String
    package var outcome: Event.CallFinished.Outcome
    package var effects: [Effect]
    /// Facts for the log.
    package var facts: [String: JSON]

    package init(
        _ content: String, outcome: Event.CallFinished.Outcome = .done, effects: [Effect] = [],
        facts: [String: JSON] = [:]
    ) {
        self.content = content
        self.outcome = outcome
        self.effects = effects
        self.facts = facts
    }
}

/// A call that was not run, and what the model can do about it. Nothing has happened.
package struct ToolRefusal: Error, Equatable {
    package let message: String

    package init(_ message: String) { self.message = message }
}

/// The jail cannot be had: the process must end, nothing may run without it.
package struct JailUnavailable: Error, Equatable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// Why a tool did not give a result.
package enum ToolFailure: Error, Equatable {
    case refused(ToolRefusal)
    case noJail(JailUnavailable)
}

/// The seam to what the model can do.
///
/// Contract, which `ToolConformance` tries on every registered tool:
/// - The name is `[a-z_]{1,64}`, the schema an object whose `required` are among its `properties`.
/// - It is offered in `phases` only; the loop refuses it elsewhere.
/// - `run` checks its whole input before it does anything, and refuses what it cannot accept.
/// - It returns at the latest when its own time limit has passed, and within two seconds of an interruption, with
///   outcome `interrupted`. What it leaves running is nothing.
/// - Its result is at most 64 KiB of text, whatever it found.
/// - It changes the job's state only by the effects that it returns. The world it changes only if `isIdempotent` is
///   false, or so that doing it twice is as good as once: an idempotent call is run again after a crash.
package protocol Tool {
    var specification: ToolSpecification { get }
    var phases: Set<Phase> { get }
    var isIdempotent: Bool { get }
    func run(_ call: ToolCall) throws(ToolFailure) -> ToolResult
}
