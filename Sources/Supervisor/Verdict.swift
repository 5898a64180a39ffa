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
    /// Its own last words count only if they fit the code that the kernel saw. Success is never guessed: 0 counts only
    /// with the word `completed` and a reason. Any other final code counts without a word too: it promises nothing. Its
    /// reason is then `lastLine`, the last that the loop has written.
    package init?(loopEnded end: ProcessEnd, farewell: StatusLine?, lastLine: String) {
        guard case .exited(let raw) = end, let code = ExitCode(rawValue: raw), code.isFinal else { return nil }
        if let said = Self(farewell, code) {
            self = said
        } else if code == .completed {
            return nil
        } else {
            self.init(code, reason: "the loop exited with \(raw) and sent no reason" + Self.quoted(lastLine))
        }
    }

    /// The verdict of a loop that ended after it was told to stop: its own if it gave one, else that it was stopped.
    package init(stoppedLoop end: ProcessEnd, farewell: StatusLine?, lastLine: String) {
        self =
            Verdict(loopEnded: end, farewell: farewell, lastLine: lastLine)
            ?? Verdict(
                .stopped,
                reason: "told to stop, the loop \(describe(end)); the checkpoint holds every step it had committed")
    }

    /// The verdict of a gateway for which the run must end: it refuses its settings or credentials. Nil for any other
    /// end: it is to be started again.
    package init?(gatewayEnded end: ProcessEnd, farewell: StatusLine?, lastLine: String) {
        guard case .exited(let raw) = end, let code = ExitCode(rawValue: raw),
            code == .configuration || code == .notPermitted
        else { return nil }
        if case .end(_, raw, let reason, _) = farewell, !reason.isEmpty {
            self.init(code, reason: reason)
        } else {
            self.init(code, reason: "the gateway exited with \(raw) and sent no reason" + Self.quoted(lastLine))
        }
    }

    /// The verdict of a child that cannot be loaded: another start would end the same way.
    ///
    /// 127 is the code of the dynamic loader (ld.so(8), elf/rtld.c of glibc), and none of ours.
    package init?(unloadable end: ProcessEnd, lastLine: String) {
        guard end == .exited(127) else { return nil }
        let words = lastLine.isEmpty ? "it exited with 127 and wrote nothing" : lastLine
        self.init(.internalError, reason: "agentd cannot be loaded: \(words)")
    }

    private init?(_ farewell: StatusLine?, _ code: ExitCode) {
        guard case .end(let outcome, code.rawValue, let reason, _) = farewell else { return nil }
        let isSuccess = outcome == ExitCode.completed.outcome
        guard isSuccess == (code == .completed), !reason.isEmpty || !isSuccess else { return nil }
        self.init(code: code.rawValue, outcome: outcome, reason: reason)
    }

    private static func quoted(_ lastLine: String) -> String {
        lastLine.isEmpty ? "; see its log" : "; the last it wrote: \(lastLine)"
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
