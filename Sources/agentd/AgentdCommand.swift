import ArgumentParser

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

    /// The loop's own command line is read without the whole tree of commands, which takes longer to build than a jailed
    /// command to run. What it does not take is left to the tree, which says why.
    static func main() {
        let words = CommandLine.arguments.dropFirst()
        if words.first == LoopCommand.configuration.commandName,
            let loop = try? LoopCommand.parse(Array(words.dropFirst()))
        {
            do { try loop.run() } catch { LoopCommand.exit(withError: error) }
        } else {
            main(nil)
        }
    }
}

/// The version of the three programs.
let version = "0.1.0"
