import CLinux
import Glibc
import LinuxSystem

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

    /// Runs `arguments` (argv with its null at the end, the program's name first) and returns the code to exit with.
    func run(_ arguments: UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Int32 {
        guard let first = arguments.pointee else { return 64 }
        let name = String(cString: first)
        let path: String
        do throws(ProgramError) {
            let folders = getenv("PATH").map { String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
            path = try findProgram(name, in: folders)
        } catch {
            logLine(error.description)
            return error.exitCode
        }
        let pid = clinux_spawn_inheriting(
            path, arguments, clinux_environment(), hasOwnGroup ? 1 : 0, foreground.isOurs ? STDIN_FILENO : -1)
        guard pid > 1 else {
            let error = ProgramError(name: name, found: true, code: -pid)
            logLine(error.description)
            return error.exitCode
        }
        let code = supervise(pid).shellCode
        foreground.takeBack()
        endLeftovers(limit: plan.leftoversLimit, signals: signals)
        return options.exitCodes[code] ?? code
    }

    private var hasOwnGroup: Bool { options.signalsGroup || foreground.isOurs }

    /// Forwards signals and reaps until the process `pid` has ended.
    private func supervise(_ pid: Int32) -> ProcessEnd {
        clinux_forget_start()
        var killAt = Int64.max
        var more = false
        while true {
            let deadline = Deadline.after(milliseconds: more ? 0 : 1000).sooner(Deadline(at: killAt))
            _ = try? waitReadable([signals.descriptor], until: deadline)
            for signal in signals.take() where forward(signal, to: pid) && signal.number == SIGTERM {
                killAt = min(killAt, Clock.monotonic + plan.mainLimit)
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
        switch signal.number {
        case SIGCHLD: return false
        // Our own write to a closed pipe.
        case SIGPIPE where signal.sender == getpid(): return false
        // The terminal has given it to its whole foreground group already, the command included; but a hangup goes
        // to the session's leader alone, and that may be us.
        case _ where signal.isFromKernel && signal.number != SIGHUP: return false
        case _ where isInit && !signal.isFromOutside && !options.heedsInside:
            ignored.tell(of: signal)
            return false
        default: break
        }
        guard let number = options.rewritten(signal.number) else { return false }
        return kill(options.signalsGroup ? -pid : pid, number) == 0
    }
}
