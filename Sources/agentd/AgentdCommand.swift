import Agent
import ArgumentParser
import Contracts
import Glibc
import LinuxSystem

/// `agentd`: everything of agent-init that is not PID 1 or the jail.
@main
struct AgentdCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent-init",
        abstract: "Runs an LLM agent as the first process of its pod.",
        discussion: """
            `agent-init run` is the pod's ENTRYPOINT: it starts and supervises the agent. The commands below look at a \
            job or run a part of it by hand. All settings are environment variables; the README lists them.
            """,
        version: version,
        subcommands: [
            ExecCommand.self, DoctorCommand.self, StatusCommand.self, HistoryCommand.self, ExportCommand.self,
            VerifyCommand.self,
            ForkCommand.self, RestoreCommand.self, SnapshotCommand.self, ClaimCommand.self,
            LoopCommand.self, GatewayCommand.self,
        ])

    /// Without a subcommand: help that nobody has asked for is no success.
    func run() throws {
        throw ValidationError("there is no subcommand; agent-init help lists them, and agent-init run runs the agent")
    }

    static func main() {
        let parent = Parent()
        let words = Array(processArguments().dropFirst())
        do {
            var subcommand = try command(words)
            try subcommand.run()
        } catch {
            end(error, parent)
        }
        end(nil, parent)
    }

    /// The loop's own command line is read without the whole tree of commands, which takes longer to build than a jailed
    /// command to run. What it does not take is left to the tree, which says why.
    private static func command(_ words: [String]) throws -> any ParsableCommand {
        if words.first == LoopCommand.configuration.commandName,
            let loop = try? LoopCommand.parse(Array(words.dropFirst()))
        {
            return loop
        }
        return try parseAsRoot(words)
    }

    private static func end(_ error: (any Error)?, _ parent: Parent) -> Never {
        parent.tell(exit: error.map { exitCode(for: $0).rawValue } ?? 0)
        exit(withError: error)
    }
}

/// The `agent-init` that has started this process as one of its subcommands, if there is one.
private struct Parent {
    private let descriptor: Int32?

    /// Takes the descriptor, which is nobody else's, and asks to be ended with the parent.
    init() {
        descriptor = getenv(LastWord.variable).flatMap { Int32(String(cString: $0)) }
        unsetenv(LastWord.variable)
        guard let descriptor else { return }
        try? setCloseOnExec(descriptor, true)
        signalAtParentsEnd(SIGKILL)
        // It may have ended before that: then nobody reads there any more.
        if hasNoReader(descriptor) { Glibc.exit(Contracts.ExitCode.internalError.rawValue) }
    }

    /// Says that the process has come to its own end and is about to exit with this code.
    func tell(exit code: Int32) {
        if let descriptor { _ = writeOnce(descriptor, LastWord.line(exit: code)) }
    }
}

/// The folder of our three programs.
///
/// - Throws: `StartError(.configuration)` without /proc.
func ownFolder() throws(StartError) -> String {
    guard let folder = programFolder() else {
        throw StartError(
            .configuration,
            "/proc is not mounted: agent-init finds its programs and its processes by it; mount it, as container engines do"
        )
    }
    return folder
}

/// Refuses to begin without /proc: whatever needs it would fail later, and less clearly.
///
/// - Throws: as `ownFolder`.
func requireProc() throws(StartError) { _ = try ownFolder() }

/// The version of the three programs.
let version = "0.1.0"
