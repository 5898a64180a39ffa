import Agent
import ArgumentParser
import Contracts
import Events

/// `agentd verify`: whether everything holds that must hold of a checkpoint.
struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Check the job's checkpoint: the file, the journal's invariants, the tables.",
        discussion: """
            Read-only, of a running job or a stopped one. Exits with 0 if everything holds, with 65 and one line for \
            each violation if not.
            """)

    @Flag(help: "One JSON object, for machines.") var json = false

    func run() throws {
        try JobFolders.look("verify") { job in
            let count = try job.events().count
            let found = try Wiring.violations(in: job.folders)
            if json {
                let result: JSON = [
                    "events": .int(Int64(count)), "violations": .array(found.map { .string($0) }),
                ]
                try show(result.text)
            } else {
                try show(
                    found.isEmpty
                        ? "All holds: \(count) events."
                        : found.map { shownLine($0, limit: 500) }.joined(separator: "\n"))
            }
            if !found.isEmpty { throw ArgumentParser.ExitCode(Contracts.ExitCode.checkpointUnusable.rawValue) }
        }
    }
}
