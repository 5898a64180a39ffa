package import Agent
import SQLite

/// Where a journal stands: its last event, and the epoch that wrote it. Of two volumes of one job, the one with the
/// later epoch has gone on, however many events it has.
package struct CheckpointPosition: Comparable, Hashable, Sendable {
    package let epoch: Int64
    package let seq: Int64

    package init(epoch: Int64, seq: Int64) {
        self.epoch = epoch
        self.seq = seq
    }

    package static func < (one: Self, other: Self) -> Bool { (one.epoch, one.seq) < (other.epoch, other.seq) }
}

/// A whole copy of a checkpoint in one file, to be kept elsewhere.
package enum CheckpointCopy {
    /// The version of the schema that this program writes; it reads the older ones.
    package static var newestSchema: Int64 { Int64(Schema.version) }

    /// Copies the checkpoint of a live or a dead job into a new file, and makes sure that everything holds of the copy.
    ///
    /// To be called in another process than the owner's: SQLite's locks end with the first connection that is closed.
    /// - Throws: `StoreError`: `unusable` if something does not hold.
    package static func make(of path: String, to new: String, job: String) throws(StoreError) {
        let database: Database
        do throws(SQLiteError) {
            database = try Database(reading: path)
        } catch {
            throw SQLiteCheckpointStore.failure(error, path)
        }
        try Backup.copy(database, to: new, of: path)
        try check(new, job: job)
    }

    /// - Throws: `StoreError`: `unusable` with what does not hold, `newer` for a schema that this program cannot read.
    package static func check(_ path: String, job: String) throws(StoreError) {
        let schema = try schema(of: path)
        guard schema <= newestSchema else {
            throw StoreError(.newer, "\(path) has the schema \(schema), this program reads up to \(newestSchema)")
        }
        if let violation = try CheckpointAudit.violations(of: path, job: job).first {
            throw StoreError(.unusable, "\(path) is not whole: \(violation)")
        }
    }

    package static func schema(of path: String) throws(StoreError) -> Int64 {
        try number("SELECT schema_version FROM meta", in: path) ?? 0
    }

    /// Nil if the journal is empty.
    ///
    /// - Throws: `StoreError` if it cannot be read.
    package static func position(of path: String) throws(StoreError) -> CheckpointPosition? {
        guard let seq = try number("SELECT max(seq) FROM event", in: path), seq > 0,
            let epoch = try number("SELECT epoch FROM event ORDER BY seq DESC LIMIT 1", in: path)
        else { return nil }
        return CheckpointPosition(epoch: epoch, seq: seq)
    }

    private static func number(_ query: String, in path: String) throws(StoreError) -> Int64? {
        do throws(SQLiteError) {
            return try Database(reading: path).integer(query)
        } catch {
            throw SQLiteCheckpointStore.failure(error, path)
        }
    }
}
