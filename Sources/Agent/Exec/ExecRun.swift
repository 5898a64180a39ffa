package import Contracts
import Glibc
package import LinuxSystem

/// One command for `agent-init exec`.
package struct ExecPlan {
    package var command: [String]
    package var profile: ExecProfile
    /// Milliseconds from the start to SIGTERM.
    package var timeout: Int64
    /// Absolute, inside the project tree; the tree itself if nil.
    package var workingDirectory: String?
    /// The command gets a pseudo-terminal in the place of its three streams.
    package var hasTerminal: Bool
    /// The output is kept, head and tail, instead of being passed on.
    package var captures: Bool

    package init(
        command: [String], profile: ExecProfile, timeout: Int64, workingDirectory: String? = nil,
        hasTerminal: Bool = false, captures: Bool = false
    ) {
        self.command = command
        self.profile = profile
        self.timeout = timeout
        self.workingDirectory = workingDirectory
        self.hasTerminal = hasTerminal
        self.captures = captures
    }
}

/// What came of it.
package struct ExecOutcome {
    package var report: JailReport
    /// The signal by which we were told to end it.
    package var signal: Int32?
    /// Nobody read the output any more, and the command was ended for it, having taken no notice.
    package var readerHasGone = false
    /// What was captured; of a command with a terminal all is in the first.
    package var output = OutputCapture.Parts()
    package var errors = OutputCapture.Parts()

    /// What the jail refused, in words that one can act on; of files only where the output was captured.
    package var refused: [String] = []

    package init(report: JailReport) { self.report = report }

    /// What to exit with: the command's own code, or a shell's for how it ended.
    package var exitCode: Int32 {
        if let signal { return 128 + signal }
        return readerHasGone ? 128 + SIGPIPE : report.end.exitCode
    }
}

extension JailedCommands {
    /// Runs a command between our own standard streams, and returns when no process of it exists any more.
    ///
    /// SIGTERM, SIGINT, SIGHUP and SIGQUIT end the command; from here on they are blocked. SIGPIPE must be ignored.
    /// A terminal of ours is as it was when this returns.
    /// - Throws: `SystemError`: nothing has run.
    package func exec(_ plan: ExecPlan) throws(SystemError) -> ExecOutcome {
        var narrowed = self
        let profile = plan.profile.apply(to: &narrowed)
        var request = narrowed.request(plan.command, profile: profile, timeout: plan.timeout)
        request.workingDirectory = plan.workingDirectory
        // What nohup(1) or a shell made us ignore is to stay so.
        let ends = [SIGTERM, SIGINT, SIGHUP, SIGQUIT].filter { !isIgnored($0) }
        let signals = try SignalDescriptor(plan.hasTerminal ? ends + [SIGWINCH, SIGCONT] : ends)
        let captures = plan.captures ? (Capture(), Capture()) : nil
        let screen = plan.hasTerminal ? RawTerminal(0) : nil
        defer { screen?.restore() }
        var relay =
            plan.hasTerminal
            ? try Relay(
                terminalOf: request, program: program, among: janitors, signals: signals, capture: captures?.0,
                screen: screen)
            : try Relay(pipesOf: request, program: program, among: janitors, signals: signals, captures: captures)
        var outcome = ExecOutcome(report: relay.run())
        outcome.readerHasGone = relay.readerHasGone
        // A command that was over by then has its own code, if all it wrote got through.
        if outcome.report.end == .cancelled || !relay.isDelivered { outcome.signal = relay.signal }
        if let captures { (outcome.output, outcome.errors) = (captures.0.parts, captures.1.parts) }
        let said = outcome.errors.head + outcome.errors.tail + (plan.hasTerminal ? outcome.output.head : [])
        outcome.refused = narrowed.refusals(
            outcome.report, output: String(decoding: said, as: UTF8.self), profile: profile)
        return outcome
    }
}
