import Agent
import ArgumentParser
import Contracts
import Events
import LinuxSystem

/// `agentd status`: where a job stands, from its checkpoint, whether it runs or not.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show where the job stands: phase, todos, budgets, calls.",
        discussion: "Reads the checkpoint that JOB_ID and WORKSPACE_PATH name, of a running job or a stopped one.")

    @Flag(help: "One JSON object, for machines.") var json = false

    func run() throws {
        do {
            let folders = try Folders(environment: processEnvironment())
            // A reader makes the -wal and -shm of a database at rest: as root they would keep the job itself out.
            try becomeOwner(of: folders.database)
            let events = try Wiring.journal(of: folders).events(after: 0, limit: -1)
            guard !events.isEmpty else {
                throw StartError(
                    .configuration,
                    "there is no job in \(folders.database); check JOB_ID and WORKSPACE_PATH")
            }
            let status = JobStatus(state: JobState(folding: events))
            print(json ? status.json.text : status.text)
        } catch let error as StartError {
            say("agent-init status: \(error)")
            throw ArgumentParser.ExitCode(error.exit.rawValue)
        } catch let error as SystemError {
            say("agent-init status: \(error); run it as the user of the job")
            throw ArgumentParser.ExitCode(Contracts.ExitCode.notPermitted.rawValue)
        } catch let error as StoreError {
            say("agent-init status: \(error)")
            throw ArgumentParser.ExitCode(LoopEnd(error).exit.rawValue)
        }
    }
}
