/// The exit codes of `agent-init`, made for a Job's podFailurePolicy (README, "Exit codes").
package enum ExitCode: Int32, Sendable, CaseIterable {
    /// The task is done and verified; never anything else.
    case completed = 0
    /// The task ended failed, cancelled or out of budget.
    case failed = 1
    /// The command line is wrong.
    case usage = 64
    /// The checkpoint is unusable and there is no good backup.
    case checkpointUnusable = 65
    /// An internal error, or the restart budget is spent.
    case internalError = 70
    /// The LLM or the storage was out for longer than its budget, or an answer is awaited: start again later.
    case tryAgain = 75
    /// The jail or a credential cannot be had.
    case notPermitted = 77
    /// The configuration is wrong.
    case configuration = 78
    /// Stopped by SIGTERM with everything saved.
    case stopped = 143

    /// Whether a restart of the process could not change the outcome: PID 1 then ends with this code.
    package var isFinal: Bool { self != .internalError }
}
