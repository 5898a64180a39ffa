import CLinux
import Contracts
import Glibc
import LinuxSystem
import SecretRedaction

/// The whole program; returns the exit code.
package func agentInit() -> Int32 {
    let arguments = (0..<clinux_argument_count()).map { argument($0) }
    let invocation: Invocation
    do throws(Invocation.Wrong) {
        invocation = try Invocation(arguments)
    } catch {
        return refuse(.usage, error.description, writesMessage: arguments.dropFirst().first == "run")
    }
    switch invocation {
    case .nothing: return show(Help.overview, on: STDERR_FILENO, code: .usage)
    case .help: return show(Help.overview)
    case .runHelp: return show(Help.run)
    case .version: return show(Help.version + "\n")
    case .agentd, .runAgent, .runCommand:
        do throws(SystemError) {
            try openStandardDescriptors()
            return try start(invocation)
        } catch {
            return refuse(.internalError, "cannot start: \(error)", writesMessage: invocation == .runAgent)
        }
    }
}

private func argument(_ index: Int32) -> String { clinux_argument(index).map { String(cString: $0) } ?? "" }

private func show(_ text: String, on descriptor: Int32 = STDOUT_FILENO, code: ExitCode = .completed) -> Int32 {
    do throws(SystemError) {
        try writeAll(descriptor, text)
        return code.rawValue
    } catch {
        logLine("stdout: \(error)")
        return ExitCode.internalError.rawValue
    }
}

/// A run that cannot begin says why where every other end does, secrets in what it quotes taken out. A command that we
/// run has no such message.
private func refuse(_ code: ExitCode, _ reason: String, writesMessage: Bool) -> Int32 {
    let secrets = KnownSecrets()
    secrets.learn(folder: secretsFolder)
    let reason = secrets.clean(reason)
    logLine("\(code.outcome), exit code \(code.rawValue): \(reason)")
    if writesMessage {
        terminationLog.write(
            TerminationMessage(
                outcome: code.outcome, exitCode: code.rawValue, reason: reason, phase: "START", step: 0, seq: 0,
                restarts: 0))
    }
    return code.rawValue
}

/// Our arguments from `first` on, as the kernel gave them, byte for byte, and a null.
func kernelsArguments(from first: Int) -> [UnsafeMutablePointer<CChar>?] {
    (Int32(first)..<clinux_argument_count()).map { UnsafeMutablePointer(mutating: clinux_argument($0)) } + [nil]
}

/// The same of our environment.
func kernelsEnvironment() -> [UnsafeMutablePointer<CChar>?] {
    var result: [UnsafeMutablePointer<CChar>?] = []
    var position = clinux_environment()
    while let entry = position?.pointee {
        result.append(entry)
        position = position?.successor()
    }
    return result + [nil]
}

private func start(_ invocation: Invocation) throws(SystemError) -> Int32 {
    // As early as can be: until they are blocked, the kernel drops signals to PID 1. The agent has no use for a signal
    // of a fault; a command is sent it on.
    let signals = try SignalSource(withFaults: invocation != .runAgent)
    let settings: InitSettings
    do throws(InitSettings.Invalid) {
        // What looks at a job or asks for help does not fail for a setting that is not its own.
        settings = try InitSettings(invocation == .agentd ? { _ in nil } : environment)
    } catch {
        return refuse(.configuration, error.description, writesMessage: invocation == .runAgent)
    }
    let plan = StopPlan(grace: settings.grace)
    let agentd = besideOurselves("agentd")
    var needsAgentd = true
    if case .runCommand = invocation { needsAgentd = false }
    guard !needsAgentd || access(agentd, X_OK) == 0 else {
        return refuse(
            .internalError,
            "\(agentd) cannot be run (\(SystemError.last("access").reason)); copy agent-init, agentd and agent-jail of one "
                + "build into one folder of the image",
            writesMessage: invocation == .runAgent)
    }
    switch invocation {
    case .runCommand(let first, let options):
        try prepareProcess(noNewPrivileges: false)
        return run(
            kernelsArguments(from: first), options, options.grace.map { StopPlan(grace: $0) } ?? plan, signals)
    case .agentd:
        try prepareProcess(noNewPrivileges: false)
        return try Subcommand(agentd: agentd, plan: plan, signals: signals).run()
    default:
        try prepareProcess(noNewPrivileges: true)
        return try Supervisor(
            settings: settings, terminationLog: terminationLog, agentd: agentd, secretsFolder: secretsFolder,
            signals: signals
        ).run()
    }
}

/// Runs a command by its name and returns its exit code.
private func run(
    _ arguments: [UnsafeMutablePointer<CChar>?], _ options: CommandOptions, _ plan: StopPlan, _ signals: SignalSource
) -> Int32 {
    let name = arguments.first.flatMap(\.self).map { String(cString: $0) } ?? ""
    do throws(ProgramError) {
        let path = try findProgram(name, in: environment("PATH") ?? "/usr/local/bin:/usr/bin:/bin")
        let command = Command(path: path, arguments: arguments)
        let code = try CommandRun(options: options, plan: plan, signals: signals).run(command).shellCode
        return options.exitCodes[code] ?? code
    } catch {
        logLine(error.description)
        return error.exitCode
    }
}

private var terminationLog: TerminationLog { TerminationLog(setting: environment("AGENT_TERMINATION_LOG")) }

/// Where the secrets are, as far as the environment says it; the children know better, and tell.
private var secretsFolder: String {
    environment("AGENT_SECRETS_DIR").flatMap { $0.isEmpty ? nil : $0 } ?? "/var/secrets"
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
