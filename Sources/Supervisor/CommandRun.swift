import CLinux
import Glibc
import LinuxSystem

/// A program to be run, its arguments and environment as C has them: byte for byte, with a null at the end.
struct Command {
    let path: String
    let arguments: [UnsafeMutablePointer<CChar>?]
    var environment = kernelsEnvironment()
}

/// `agent-init run COMMAND…`: PID 1 over any one command, as other inits are.
///
/// Every signal goes to the command, its exit code is passed on, orphans are reaped. After SIGTERM, and when the
/// command has ended, what is left is ended in the stages of `StopPlan`: nothing that ignores a signal hangs us.
struct CommandRun {
    let options: CommandOptions
    let plan: StopPlan
    let signals: SignalSource
    private let foreground = Foreground()
    private let ignored = IgnoredSignals()

    init(options: CommandOptions, plan: StopPlan, signals: SignalSource) {
        self.options = options
        self.plan = plan
        self.signals = signals
    }

    /// Runs the command to its end, and what it leaves behind to its.
    ///
    /// - Throws: `ProgramError` if it cannot be started.
    func run(_ command: Command) throws(ProgramError) -> ProcessEnd {
        let pid = clinux_spawn_inheriting(
            command.path, command.arguments, command.environment, hasOwnGroup ? 1 : 0,
            foreground.isOurs ? STDIN_FILENO : -1)
        guard pid > 1 else { throw ProgramError(name: command.path, found: true, code: -pid) }
        var stopAt: Int64?
        let end = supervise(pid, stopAt: &stopAt)
        foreground.takeBack()
        let deadline = Deadline(at: (stopAt ?? Clock.monotonic) + plan.wholeLimit)
        Leftovers(signals: signals, passedOn: { forLeftovers($0) }).end(by: deadline)
        return end
    }

    private var hasOwnGroup: Bool { options.signalsGroup || foreground.isOurs }

    /// Forwards signals and reaps until the process `pid` has ended. `stopAt`: when the first SIGTERM came.
    private func supervise(_ pid: Int32, stopAt: inout Int64?) -> ProcessEnd {
        clinux_forget_start()
        var killAt = Int64.max
        var more = false
        while true {
            let deadline = Deadline.after(milliseconds: more ? 0 : 1000).sooner(Deadline(at: killAt))
            _ = try? waitReadable([signals.descriptor], until: deadline)
            for signal in signals.take() where forward(signal, to: pid) && signal.number == SIGTERM && stopAt == nil {
                stopAt = Clock.monotonic
                killAt = Clock.monotonic + plan.mainLimit
            }
            if hasOwnGroup, clinux_has_stopped(pid) == 1 { foreground.follow(stopOf: pid) }
            let ended = reapEnded()
            more = !ended.isEmpty
            if let main = ended.first(where: { $0.pid == pid }) { return main.end }
            if Clock.monotonic >= killAt {
                logLine("the command has not ended \(plan.mainLimit) ms after SIGTERM; SIGKILL")
                _ = kill(pid, SIGKILL)
                killAt = .max
            }
        }
    }

    /// Sends a signal on, unless it is none for the command.
    private func forward(_ signal: ReceivedSignal, to pid: Int32) -> Bool {
        // The terminal has given it to its whole foreground group already, the command included; but a hangup goes
        // to the session's leader alone, and that may be us.
        if signal.isFromKernel, signal.number != SIGHUP { return false }
        guard isForOthers(signal), let number = options.rewritten(signal.number) else { return false }
        return kill(options.signalsGroup ? -pid : pid, number) == 0
    }

    /// The signal for what is left. It is in the background of a terminal, which gives it nothing; to be stopped would
    /// only keep it from ending.
    private func forLeftovers(_ signal: ReceivedSignal) -> Int32? {
        guard ![SIGTSTP, SIGTTIN, SIGTTOU, SIGWINCH].contains(signal.number), isForOthers(signal) else { return nil }
        return options.rewritten(signal.number)
    }

    /// Whether a signal is for those below us: not one of our own, and not one from inside of PID 1's namespace.
    private func isForOthers(_ signal: ReceivedSignal) -> Bool {
        switch signal.number {
        case SIGCHLD: return false
        // Our own write to a closed pipe.
        case SIGPIPE where signal.sender == getpid(): return false
        case _ where isInit && !signal.isFromOutside && !options.heedsInside:
            ignored.tell(of: signal)
            return false
        default: return true
        }
    }
}
