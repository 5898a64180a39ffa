import Agent
import ArgumentParser
import Events

/// `agentd status`: where a job stands, from its checkpoint, whether it runs or not.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show whether the job runs and where it stands: phase, todos, budgets, calls, last events.",
        discussion: """
            Reads the checkpoint that JOB_ID and WORKSPACE_PATH name, of a running job or a stopped one, and tells who holds \
            it since when, how the last process ended, or that it was killed without a word.
            """)

    @Flag(help: "One JSON object, for machines.") var json = false

    func run() throws {
        try JobFolders.look("status") { job in
            let events = try job.events()
            let status = JobStatus(
                state: JobState(folding: events), last: events.suffix(5), tenure: Tenure(of: job.folders.database))
            try show(json ? status.json.text : status.text)
        }
    }
}
