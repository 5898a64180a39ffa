import Agent
import FoundationEssentials
import SQLite

/// The job's state at a phase boundary or after a compaction, kept so that a start need not fold the journal from its
/// beginning.
///
/// Never more than an acceleration: one that is damaged, or of another version, is passed over and the journal folded.
/// Two are kept, so that the table does not grow with the job.
enum StateSnapshot {
    static func write(_ state: JobState, to database: Database) throws(SQLiteError) {
        guard let data = try? JSONEncoder().encode(state) else { return }
        let body = String(decoding: data, as: UTF8.self)
        try database.run(
            "INSERT OR REPLACE INTO snapshot VALUES (?, ?, ?, ?)", state.seq, JobState.formatVersion, body, sha256(body)
        )
        try database.run("DELETE FROM snapshot WHERE seq NOT IN (SELECT seq FROM snapshot ORDER BY seq DESC LIMIT 2)")
    }

    /// The newest whose form and digest are right, nil if there is none.
    static func newest(in database: Database) throws(SQLiteError) -> JobState? {
        let rows = try database.statement(
            "SELECT seq, body, sha256 FROM snapshot WHERE state_v = ? AND seq <= (SELECT seq FROM head) ORDER BY seq DESC"
        )
        try rows.bind([JobState.formatVersion])
        defer { rows.reset() }
        while try rows.step() {
            guard let body = rows.text(1), rows.text(2) == sha256(body),
                let state = try? JSONDecoder().decode(JobState.self, from: Data(body.utf8)),
                state.seq == rows.integer(0)
            else { continue }
            return state
        }
        return nil
    }
}
