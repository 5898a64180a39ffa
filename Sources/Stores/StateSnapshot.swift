import Agent
import FoundationEssentials
import SQLite

/// The job's state at a phase boundary, after a compaction, and in between when much has come (`SnapshotPace`), kept so
/// that a start need not fold the journal from its beginning.
///
/// Never more than an acceleration: one that is damaged, or of another version, is passed over and the journal folded.
/// Two are kept, so that the table does not grow with the job.
enum StateSnapshot {
    /// Returns the bytes of it.
    static func write(_ state: JobState, to database: Database) throws(SQLiteError) -> Int {
        guard let data = try? JSONEncoder().encode(state) else { return 0 }
        let body = String(decoding: data, as: UTF8.self)
        try database.run(
            "INSERT OR REPLACE INTO snapshot VALUES (?, ?, ?, ?)", state.seq, JobState.formatVersion, body, sha256(body)
        )
        try database.run("DELETE FROM snapshot WHERE seq NOT IN (SELECT seq FROM snapshot ORDER BY seq DESC LIMIT 2)")
        return data.count
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

/// When a snapshot is due within a phase: after 256 events that weigh as much as the last one did.
///
/// So a start folds no more than it reads anyway, and all snapshots of a job together are no longer than twice its journal,
/// however long its conversation grows.
struct SnapshotPace {
    private var events = 0
    private var bytes = 0
    private var last = 0

    init() {}

    private init(last: Int) { self.last = last }

    var isDue: Bool { events >= 256 && bytes >= last }

    /// A start had to fold so many events.
    mutating func loaded(_ count: Int) {
        (events, bytes) = (count, .max / 2)
    }

    mutating func wrote(_ size: Int) {
        events += 1
        bytes += size
    }

    mutating func snapshot(of size: Int) {
        self = SnapshotPace(last: size)
    }
}
