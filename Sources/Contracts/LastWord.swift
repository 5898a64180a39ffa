/// The word by which a subcommand of `agentd` says to the `agent-init` above it that it has come to its own end.
///
/// An exit code alone cannot say so: a program in the place of `agentd`, a loader that fails and a preloaded library that
/// ends the process have exit codes too, 0 among them.
package enum LastWord {
    /// The variable with the number of the descriptor that it is written to. Not `AGENT_…`: it is no setting.
    package static let variable = "AGENTD_WORD_FD"

    /// The line for an exit code, its newline included.
    package static func line(exit code: Int32) -> String { "exit=\(code)\n" }
}
