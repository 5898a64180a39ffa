import Agent
import ArgumentParser
import CCrash
import Contracts
import Events
import Glibc
import LinuxSystem

/// `agentd loop`: the agent itself.
struct LoopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "loop", abstract: "Run the agent. PID 1 does this; by hand it runs a job without a gateway.")

    @Option(help: "Descriptor of the pipe to PID 1.") var statusFd: Int32?
    @Option(help: "Descriptor of the pipe with the gateway's commands.") var commandsFd: Int32?
    @Option(help: "Descriptor of the pipe to the gateway for what is only shown.") var liveFd: Int32?

    func run() throws {
        // A reader that has gone is an error of the write, not a signal.
        signal(SIGPIPE, SIG_IGN)
        confineProcess("loop")
        // Without PID 1 nobody watches us, and the next start needs our place: save and go.
        if statusFd != nil { signalAtParentsEnd(SIGTERM) }
        let supervisor = SupervisorPipe(descriptor: statusFd)
        let live = LivePipe(descriptor: liveFd)
        var progress = StatusLine.Progress(phase: "BOOT", step: 0, seq: 0)
        var holder: Holder?
        let end: LoopEnd
        do {
            try requireProc()
            let environment = processEnvironment()
            let settings = try Settings(environment: environment)
            try settings.folders.refuseWritablePrograms(environment: environment)
            let attention = try ProcessAttention(commands: commandsFd, supervisor: supervisor, live: live)
            supervisor.tell(secrets: settings.folders.secrets)
            let wiring = try Wiring(settings: settings, environment: environment)
            let task = try wiring.task()
            let previous = Holder.last(of: settings.folders.database)
            supervisor.tell(records: settings.folders.gasps)
            let snapshots = try wiring.snapshots(environment: environment)
            try wiring.confine(environment: environment)
            // Beside each other: the one waits for other processes, the other reads. What is not there yet is not made
            // before the jail is proved.
            let opening = access(settings.folders.database, F_OK) == 0 ? wiring.opening() : nil
            do {
                try wiring.proveJail(attention: attention)
            } catch {
                // The process must not end under a thread that is at work on the checkpoint.
                _ = opening?.wait()
                throw error
            }
            let ledger = try Ledger(
                store: (opening ?? wiring.opening()).wait().take(), version: version, host: hostName(),
                claim: { epoch throws(StoreError) in try snapshots?.claim(epoch, attention: attention) })
            holder = try? Holder(of: settings.folders.database, host: hostName())
            holder?.has(epoch: ledger.epoch, seq: ledger.state.seq)
            ledger.onCommit = { [holder] state in
                supervisor.tell(state.progress)
                live.committed()
                holder?.has(epoch: state.epoch, seq: state.seq)
            }
            defer { progress = ledger.progress }
            let loop = try wiring.loop(
                ledger: ledger, snapshots: snapshots, attention: attention, display: live)
            // It has started with us, and has read the log's spool, and asked NATS, meanwhile.
            if !ledger.state.isFinished { attention.awaitStatement(until: .after(milliseconds: 5000)) }
            end = try loop.run(task: task, previous: previous)
        } catch let error as StartError {
            end = LoopEnd(error)
        } catch let error as StoreError {
            end = LoopEnd(error)
        } catch {
            end = LoopEnd(.internalError, outcome: "error", reason: "\(error)")
        }
        holder?.ends(end)
        supervisor.tell(end, at: progress)
        // For whoever reads the log; a finished job has said so in its journal.
        if end.exit != .completed {
            let shown = supervisor.shown(end)
            say(EndLine.text(outcome: shown.outcome, exit: shown.exit.rawValue, reason: shown.reason))
        }
        throw ArgumentParser.ExitCode(end.exit.rawValue)
    }
}

/// Closes this process to others of the same user: `/proc/<pid>/environ`, `mem` and `fd` (prctl(2), PR_SET_DUMPABLE).
/// From now on it says where it was when it dies of a fault or is asked by SIGQUIT.
func confineProcess(_ name: String) {
    _ = setDumpable(false)
    ccrash_install(name)
}

/// One line on standard error.
func say(_ line: String) {
    _ = try? writeAll(2, line + "\n")
}
