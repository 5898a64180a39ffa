import Agent
import ArgumentParser
import Contracts
import Glibc
import LinuxSystem

/// What the commands that look at a job from outside have in common: the job that JOB_ID and WORKSPACE_PATH name, looked
/// at as its owner, and errors as exit codes.
struct JobFolders {
    let folders: Folders

    /// - Throws: `StartError`, `SystemError`.
    init() throws {
        // A reader that has gone is an error of the write.
        signal(SIGPIPE, SIG_IGN)
        try requireProc()
        folders = try Folders(environment: processEnvironment())
        // A reader makes the -wal and -shm of a database at rest: as root they would keep the job itself out.
        try becomeOwner(of: folders.database)
    }

    /// The whole journal.
    ///
    /// - Throws: `StartError(.configuration)` if there is no such job, `StoreError`.
    func events() throws -> [StoredEvent] {
        let events = try Wiring.journal(of: folders).events(after: 0, limit: -1)
        guard !events.isEmpty else {
            throw StartError(
                .configuration,
                "there is no job in \(folders.database): it was never started here; check JOB_ID and WORKSPACE_PATH")
        }
        return events
    }

    /// Does a command's work on the job, and ends the program with the documented code if it fails.
    static func look(_ name: String, _ body: (JobFolders) throws -> Void) throws {
        do {
            try body(try JobFolders())
        } catch let error as StartError {
            say("agent-init \(name): \(error)")
            throw ArgumentParser.ExitCode(error.exit.rawValue)
        } catch let error as StoreError {
            say("agent-init \(name): \(error)")
            throw ArgumentParser.ExitCode(LoopEnd(error).exit.rawValue)
        } catch let error as SystemError {
            // Whoever read it has what they wanted.
            if error.call == "write", error.code == EPIPE { return }
            say("agent-init \(name): \(error); run it as the user of the job")
            throw ArgumentParser.ExitCode(Contracts.ExitCode.notPermitted.rawValue)
        }
    }
}

/// Writes a text and a newline to stdout.
///
/// - Throws: `SystemError`; EPIPE if nobody reads.
func show(_ text: String) throws(SystemError) { try writeAll(STDOUT_FILENO, text + "\n") }
