import CLinux
import Contracts
import Glibc
import LinuxSystem

/// The whole program; returns the exit code.
package func agentInit() -> Int32 {
    let invocation: Invocation
    do throws(Invocation.Wrong) {
        invocation = try Invocation((0..<clinux_argument_count()).map { argument($0) })
    } catch {
        logLine(error.description)
        return ExitCode.usage.rawValue
    }
    switch invocation {
    case .help: return show(Help.overview)
    case .runHelp: return show(Help.run)
    case .version: return show(Help.version + "\n")
    case .agentd: return executeAgentd()
    case .runAgent, .runCommand: return supervise(invocation)
    }
}

private func argument(_ index: Int32) -> String { clinux_argument(index).map { String(cString: $0) } ?? "" }

private func show(_ text: String) -> Int32 {
    do throws(SystemError) {
        try writeAll(STDOUT_FILENO, text)
        return 0
    } catch {
        logLine("stdout: \(error)")
        return ExitCode.internalError.rawValue
    }
}

/// Our arguments from `first` on, as the kernel gave them, byte for byte, and a null.
private func rawArguments(from first: Int) -> [UnsafeMutablePointer<CChar>?] {
    (Int32(first)..<clinux_argument_count()).map { UnsafeMutablePointer(mutating: clinux_argument($0)) } + [nil]
}

/// Becomes `agentd` with our arguments; returns only if that fails.
private func executeAgentd() -> Int32 {
    let agentd = besideOurselves("agentd")
    var arguments = rawArguments(from: 0)
    execve(agentd, &arguments, clinux_environment())
    logLine("\(SystemError.last("execve", subject: agentd)); agentd must lie beside agent-init")
    return ExitCode.internalError.rawValue
}

private func supervise(_ invocation: Invocation) -> Int32 {
    let terminationLog = TerminationLog(setting: environment("AGENT_TERMINATION_LOG"))
    /// A run that cannot begin says why where every other end does. A command that we run has no such message.
    func refuse(_ code: ExitCode, _ reason: String) -> Int32 {
        logLine(reason)
        if case .runAgent = invocation {
            terminationLog.write(
                TerminationMessage(
                    outcome: code.outcome, exitCode: code.rawValue, reason: reason, phase: "START", step: 0, seq: 0,
                    restarts: 0))
        }
        return code.rawValue
    }
    do throws(SystemError) {
        try openStandardDescriptors()
        // As early as can be: until they are blocked, the kernel drops signals to PID 1.
        let signals = try SignalSource()
        let settings: InitSettings
        do throws(InitSettings.Invalid) {
            settings = try InitSettings(environment)
        } catch {
            return refuse(.configuration, error.description)
        }
        if case .runCommand(let first, let options) = invocation {
            try prepareProcess(noNewPrivileges: false)
            let arguments = rawArguments(from: first)
            return arguments.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return ExitCode.usage.rawValue }
                let plan = StopPlan(grace: options.grace ?? settings.grace)
                return CommandRun(options: options, plan: plan, signals: signals).run(base)
            }
        }
        let agentd = besideOurselves("agentd")
        guard access(agentd, X_OK) == 0 else { throw SystemError.last("access", subject: agentd) }
        try prepareProcess(noNewPrivileges: true)
        return try Supervisor(
            settings: settings, terminationLog: terminationLog, agentd: agentd, signals: signals
        ).run()
    } catch {
        return refuse(.internalError, "cannot start: \(error)")
    }
}

private func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

/// Opens /dev/null for those of stdin, stdout and stderr that are closed: else a pipe of ours would get the number,
/// and what is printed would go into it. Close-on-exec, so that a command sees them closed as we did.
private func openStandardDescriptors() throws(SystemError) {
    for number in STDIN_FILENO...STDERR_FILENO where fcntl(number, F_GETFD) < 0 {
        // It gets this number: the kernel gives the lowest free one (open(2)).
        _ = try openNull().release()
    }
}

/// Sets what holds for this process until its end.
private func prepareProcess(noNewPrivileges: Bool) throws(SystemError) {
    // Numbers of linux/prctl.h, which Swift's Glibc module leaves out.
    let setDumpable: Int32 = 4
    let setChildSubreaper: Int32 = 36
    let setNoNewPrivileges: Int32 = 38
    // Closes /proc/1/environ, mem, maps and fd to processes of the same UID (proc(5)); an exec sets it anew, so the
    // children are not concerned.
    try control(setDumpable, 0, name: "PR_SET_DUMPABLE")
    // Orphans come to PID 1 by themselves; without being it, only so.
    if !isInit { try control(setChildSubreaper, 1, name: "PR_SET_CHILD_SUBREAPER") }
    // No child of the agent has a use for a setuid program; a command under `run COMMAND` may.
    if noNewPrivileges { try control(setNoNewPrivileges, 1, name: "PR_SET_NO_NEW_PRIVS") }
}

private func control(_ option: Int32, _ value: UInt, name: String) throws(SystemError) {
    let result = clinux_prctl(option, value, 0, 0, 0)
    guard result >= 0 else { throw SystemError("prctl(\(name))", code: -result) }
}
