import Agent
import ArgumentParser
import Contracts
import LinuxSystem

/// `agentd export`: the whole trajectory of a job.
struct ExportCommand: ParsableCommand {
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case jsonl, markdown
    }

    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write the job's whole trajectory to stdout.",
        discussion: """
            jsonl: an event a line, as docs/CHECKPOINT_FORMAT.md describes them. markdown: to be read. The conversation \
            is there as it was: nothing is redacted.
            """)

    @Option(help: "jsonl or markdown.") var format = Format.jsonl

    func run() throws {
        try JobFolders.look("export") { job in
            let events = try job.events()
            switch format {
            case .jsonl:
                for event in events { try show(try line(event)) }
            case .markdown: try writeAll(1, Trajectory.markdown(job: job.folders.job.text, events))
            }
        }
    }

    private func line(_ event: StoredEvent) throws(StoreError) -> String {
        do throws(EventCodingError) {
            return try Trajectory.line(event)
        } catch {
            throw StoreError(.unusable, "event \(event.seq): \(error)")
        }
    }
}
