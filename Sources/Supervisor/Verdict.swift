package import Contracts
package import LinuxSystem

/// How a run ended: what the container's exit code and the termination message say.
package struct Verdict: Equatable, Sendable {
    package let code: Int32
    package let outcome: String
    package let reason: String

    package init(code: Int32, outcome: String, reason: String) {
        self.code = code
        self.outcome = outcome
        self.reason = reason
    }

    package init(_ code: ExitCode, reason: String) {
        self.init(code: code.rawValue, outcome: code.outcome, reason: reason)
    }

    /// The verdict of a loop that ended by itself with a final code; nil if it is to be started again.
    ///
    /// Its own last words count only if they fit the code that the kernel saw.
    package init?(loopEnded end: ProcessEnd, farewell: StatusLine?) {
        guard case .exited(let raw) = end, let code = ExitCode(rawValue: raw), code.isFinal else { return nil }
        if case .end(let outcome, raw, let reason, _) = farewell {
            self.init(code: raw, outcome: outcome, reason: reason)
        } else {
            self.init(code, reason: "the loop exited with \(raw) and sent no reason; see its log")
        }
    }

    /// The verdict of a loop that ended after it was told to stop: its own if it gave one, else that it was stopped.
    ///
    /// Never 0 for a loop that did not say so itself: the pod would count as succeeded and the work be lost.
    package init(stoppedLoop end: ProcessEnd, farewell: StatusLine?) {
        self =
            Verdict(loopEnded: end, farewell: farewell)
            ?? Verdict(
                .stopped,
                reason: "told to stop, the loop \(describe(end)); the checkpoint holds every step it had committed")
    }
}

extension ExitCode {
    /// The word for it in the termination message, when the loop has not sent its own.
    package var outcome: String {
        switch self {
        case .completed: "completed"
        case .failed: "failed"
        case .usage: "usage"
        case .checkpointUnusable: "checkpoint_unusable"
        case .internalError: "internal_error"
        case .tryAgain: "try_again"
        case .notPermitted: "not_permitted"
        case .configuration: "configuration"
        case .stopped: "stopped"
        }
    }
}
