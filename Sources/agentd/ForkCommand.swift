import Agent
import ArgumentParser
import Contracts

/// `agentd fork`: a new job from an earlier point of this one.
struct ForkCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fork", abstract: "Make a new job that begins where this one stood at an earlier event.",
        discussion: """
            `agent-init history` shows the numbers. The journal up to that event is copied into a checkpoint of the new \
            job in the same folder; this job is only read. Bring the project tree into the state that fits (it is no \
            part of a checkpoint), then start the new job with its JOB_ID: it goes on as after a kill at that event.
            """)

    @Option(help: "The last event that the new job keeps.") var at: Int64
    @Option(name: .customLong("job-id"), help: "The new job's JOB_ID.") var name: String

    func run() throws {
        try JobFolders.look("fork") { job in
            guard let new = JobID(name) else {
                throw StartError(.usage, "--job-id is \"\(name)\"; accepted: \(JobID.form)")
            }
            let last = try job.events().count
            guard (1...Int64(last)).contains(at) else {
                throw StartError(.usage, "--at \(at): the journal has the events 1 to \(last)")
            }
            try Wiring.fork(job.folders, at: at, as: new)
            try show("Job \(new) has the events 1 to \(at) of job \(job.folders.job). Start it with JOB_ID=\(new).")
        }
    }
}
