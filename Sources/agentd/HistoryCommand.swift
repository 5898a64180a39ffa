import Agent
import ArgumentParser
import Events

/// `agentd history`: every step of a job.
struct HistoryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history", abstract: "Show every step of the job: when, what it cost, what came of it.",
        discussion: """
            A step is one request to the model and the calls of its answer. Reads the checkpoint that JOB_ID and \
            WORKSPACE_PATH name, of a running job or a stopped one. The seq numbers are those that `fork --at` takes.
            """)

    @Flag(help: "One JSON array, for machines.") var json = false

    func run() throws {
        try JobFolders.look("history") { job in
            let history = History(folding: try job.events())
            try show(json ? history.json.text : history.text)
        }
    }
}
