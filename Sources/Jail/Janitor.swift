import CLinux
import Contracts
import Glibc
import LinuxSystem

/// The one process that sees a command from its start to the end of the last process it has left behind.
///
/// One thread and one poll(2): the signalfd, the control descriptor and the next deadline. Every wait is bounded. It
/// takes no part in the command's input and output, so a pipe that a daemon holds open delays nothing.
struct Janitor: ~Copyable {
    private let request: JailRequest
    private let standby: Standby
    private let launch: Launch
    private var control: Control
    private var tree: Tree
    private var resources: ResourceGuard
    private let broker: Broker?
    /// Why the command must be ended at once, though it runs.
    private let problem: SystemError?

    /// From the first SIGKILL to giving up. 400 processes take 60 ms; only one that hangs in the kernel takes longer.
    private static let sweepLimit: Int64 = 20_000
    /// Between two rounds of SIGKILL, for what was born in between.
    private static let sweepPause: Int64 = 10

    /// What ended the wait for the command.
    private enum Cause {
        case ended, timedOut, cancelled
        case exhausted(JailReport.End)
        case failed(SystemError)
    }

    /// Builds the jail and starts the command.
    ///
    /// - Throws: `JailFailure`; nothing of the command has run.
    init(
        _ request: JailRequest, _ standby: consuming Standby, fabric: consuming JailFabric? = nil
    ) throws(JailFailure) {
        var launch = try Launch(request, try JailPlan(jailRules, for: request, on: standby.kernel), fabric: fabric)
        let started = try Self.start(&launch, standby.preference)
        self.request = request
        self.launch = launch
        self.standby = standby
        control = Control(request.controlDescriptor)
        tree = Tree(main: started.pid)
        resources = ResourceGuard(request)
        broker = started.broker
        problem = started.problem
    }

    private static func start(
        _ launch: inout Launch, _ preference: borrowing OOMPreference
    ) throws(JailFailure) -> Launch.Started {
        if let started = launch.startAhead() { return started }
        preference.raise()
        defer { preference.restore() }
        return try launch.start()
    }

    /// What was refused so far.
    var violations: JailViolations { broker?.violations ?? JailViolations() }

    /// Waits for the command to be over, ends all that is left of it, and says how it went.
    ///
    /// - Throws: `JailFailure` if the program was not executed.
    mutating func run() throws(JailFailure) -> (end: JailReport.End, killed: Int) {
        let cause: Cause =
            if let problem { .failed(problem) } else { watch(until: .after(milliseconds: request.timeout)) }
        if case .timedOut = cause { askToEnd() }
        let isSwept = sweep()
        broker?.end()
        if let failure = launch.failure() { throw failure }
        return (isSwept ? end(of: cause) : Self.unkillable, tree.killed)
    }

    private func end(of cause: Cause) -> JailReport.End {
        switch (cause, tree.mainEnd) {
        case (.timedOut, _): .timedOut
        case (.cancelled, _): .cancelled
        case (.exhausted(let reason), _): reason
        case (.ended, .exited(let code)?): .exited(code)
        case (.ended, .signaled(let signal)?): .signaled(signal)
        case (.failed(let error), _):
            .lost(
                errno: error.code, message: "the command was started and could not be watched (\(error)): it was killed"
            )
        case (.ended, nil):
            .lost(errno: 0, message: "the command was started, and its end was lost; please report this")
        }
    }

    private static let unkillable = JailReport.End.lost(
        errno: 0,
        message:
            "processes of the command do not die within \(sweepLimit / 1000) s: they hang in the kernel (state D in ps),"
            + " mostly on storage that does not answer; look at the node")

    /// Until the command's own process has ended, or has to.
    private mutating func watch(until deadline: Deadline) -> Cause {
        while true {
            // First, so that a command that ended in time is never called late.
            tree.reap()
            if tree.mainEnd != nil || tree.isGone { return .ended }
            if deadline.hasPassed { return .timedOut }
            if let reason = resources.look() { return .exhausted(reason) }
            do throws(SystemError) {
                if try isCancelled(until: deadline.sooner(resources.due)) { return .cancelled }
            } catch {
                return .failed(error)
            }
        }
    }

    /// SIGTERM to all, and time to follow it.
    private mutating func askToEnd() {
        let deadline = Deadline.after(milliseconds: request.grace)
        standby.domain.signalAll(SIGTERM)
        // One that is stopped takes the SIGTERM only once it goes on.
        standby.domain.signalAll(SIGCONT)
        while true {
            tree.reap()
            if tree.isGone || deadline.hasPassed || resources.look() != nil { return }
            do throws(SystemError) {
                if try isCancelled(until: deadline.sooner(resources.due)) { return }
            } catch {
                return
            }
        }
    }

    /// SIGKILL to all, until there is no child any more.
    ///
    /// - Returns: false if processes are left that do not die.
    private mutating func sweep() -> Bool {
        let deadline = Deadline.after(milliseconds: Self.sweepLimit)
        while true {
            // First: mostly a command leaves nothing, and a signal to all walks through every process of the node.
            tree.reap()
            if tree.isGone { return true }
            if deadline.hasPassed { return false }
            tree.isBeingKilled = true
            standby.domain.signalAll(SIGKILL)
            _ = try? waitReadable([standby.signals.number], until: .after(milliseconds: Self.sweepPause))
            while cjail_next_signal(standby.signals.number) > 0 {}
        }
    }

    /// Waits for a signal, for the control descriptor or for the deadline.
    ///
    /// - Returns: whether the command has to be ended at once.
    private mutating func isCancelled(until deadline: Deadline) throws(SystemError) -> Bool {
        let wake = broker?.wake ?? .never
        let ready = try waitReadable(
            [standby.signals.number, control.descriptor, broker?.descriptor ?? -1], until: deadline.sooner(wake))
        if ready.contains(2) || wake.hasPassed { broker?.serve() }
        let isCancelled = ready.contains(1) && control.asksForEnd()
        return try takeEndSignal(standby.signals.number) || isCancelled
    }
}

/// Takes all signals that have come.
///
/// - Returns: whether one of them asks the janitor to end. Not from within: a jailed process cannot signal it.
func takeEndSignal(_ descriptor: Int32) throws(SystemError) -> Bool {
    var asks = false
    while true {
        let signal = cjail_next_signal(descriptor)
        if signal < 0 { throw SystemError("read(signalfd)", code: -signal) }
        if signal == 0 { return asks }
        if [SIGTERM, SIGINT, SIGHUP, SIGQUIT].contains(signal) { asks = true }
    }
}
