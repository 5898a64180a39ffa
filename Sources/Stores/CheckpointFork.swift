package import Agent
import Glibc
import SQLite

/// A new job that begins where another one stood after one of its events.
package enum CheckpointFork {
    /// Copies the events up to `seq` into a checkpoint of the job `job` at `path`. The journal they come from is only
    /// read. The file is whole when it appears under its name.
    ///
    /// The first start of the new job takes it over like one whose process was killed at that moment: a call that was
    /// running then is told as interrupted. What is not in a checkpoint, the project tree above all, is not forked.
    /// - Throws: `StoreError`: `place` if there is a file at `path`, `unusable` if there are no such events.
    package static func fork(
        _ source: any JournalReader, at seq: Int64, to path: String, job: String
    ) throws(StoreError) {
        for suffix in ["", "-wal"] where access(path + suffix, F_OK) == 0 {
            throw StoreError(.place, "there is a \(path + suffix) already; take another job id")
        }
        let events = try source.events(after: 0, limit: Int(clamping: seq))
        guard seq > 0, Int64(events.count) == seq else {
            throw StoreError(.unusable, "the journal has no event \(seq): it ends at \(events.count)")
        }
        try SQLiteCheckpointStore.create(path: path, job: job) { database throws(SQLiteError) in
            let projection = Projection(database: database)
            for stored in events { try projection.write(stored) }
            try projection.writeHead(JobState(folding: events), todos: true)
            try database.run("UPDATE head SET epoch = ?", events.last?.epoch ?? 0)
        }
    }
}
