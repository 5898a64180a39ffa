package import Contracts
import LinuxSystem
import SecretRedaction

/// What this process tells PID 1: that it makes progress, where the job is, and how it ends.
///
/// Lines that PID 1 does not take at once are dropped, but for the last one: a hung PID 1 must not hang the job. What it
/// tells of its end has no secret in it. Used from one thread.
package final class SupervisorPipe {
    private let descriptor: Int32?
    private var nextBeat: Int64 = 0
    private var last: StatusLine.Progress?
    private let secrets = KnownSecrets()

    /// Milliseconds between beats; PID 1 expects one at least every 5 s.
    private static let interval: Int64 = 2000

    /// `descriptor` nil: there is no PID 1 of ours.
    package init(descriptor: Int32?) {
        self.descriptor = descriptor
        if let descriptor { try? setNonBlocking(descriptor, true) }
    }

    /// Beats, if a beat is due. To be called by the thread that does the work.
    package func beat() {
        guard Clock.monotonic >= nextBeat else { return }
        nextBeat = Clock.monotonic + Self.interval
        send(.beat)
    }

    /// Tells in which folder the secrets are. To be called before one of them is read.
    package func tell(secrets folder: String) {
        send(.secrets(folder: folder))
        secrets.learn(folder: folder)
    }

    /// The end with a reason that may be shown: without secrets, and never empty.
    package func shown(_ end: LoopEnd) -> LoopEnd {
        let reason = end.reason.isEmpty ? end.outcome : end.reason
        return LoopEnd(end.exit, outcome: end.outcome, reason: secrets.clean(reason))
    }

    /// Tells in which folder the last-gasp records are to be kept.
    package func tell(records folder: String) { send(.records(folder: folder)) }

    /// Tells where the job is, if the phase, the step or what it is doing has changed.
    package func tell(_ progress: StatusLine.Progress) {
        guard last?.phase != progress.phase || last?.step != progress.step || last?.doing != progress.doing else {
            return
        }
        last = progress
        send(.progress(progress))
    }

    /// Tells how this process ends; waits up to a second for PID 1 to take it.
    package func tell(_ end: LoopEnd, at progress: StatusLine.Progress) {
        // Before the reason is cut to what a line takes: half a secret would be found by nobody.
        let end = shown(end)
        let line = StatusLine.end(
            outcome: end.outcome, exit: end.exit.rawValue, reason: end.reason, progress: progress)
        let patience = Deadline.after(milliseconds: 1000)
        while !send(line), !patience.hasPassed { _ = try? waitReadable([], until: .after(milliseconds: 10)) }
    }

    @discardableResult
    private func send(_ line: StatusLine) -> Bool {
        guard let descriptor else { return true }
        return writeOnce(descriptor, line.line + "\n")
    }
}

extension JobState {
    /// Where the job is, as PID 1 is told.
    package var progress: StatusLine.Progress {
        StatusLine.Progress(
            phase: isFinished || task == nil ? status.word : phase.rawValue, step: spent.steps, seq: seq, doing: doing)
    }

    /// What the loop waits for, if it is something outside of it.
    private var doing: String {
        if let call = calls.first(where: { $0.state == .started }) { return "call \(call.call.id) (\(call.call.tool))" }
        return openIntent == nil ? "" : "a request to the model"
    }
}
