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
}

/// The version of the three programs.
let version = "0.1.0"
