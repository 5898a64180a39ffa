import Agent
import SQLite

/// What is checked of a checkpoint each time it is opened, over a connection of its own, so that it can be done beside the
/// reading: SQLite's own structure, that the journal has no gap up to the head, and that events are as they were written.
enum Inspection {
    /// What is wrong with the file, nil if nothing is. Of the events, those up to `last` are looked at. All of it is of one
    /// moment: an owner that is writing meanwhile would pass for a gap.
    static func damage(of path: String, eventsTo last: Int64) -> StoreError? {
        do throws(SQLiteError) {
            let database = try Database(path: path, mode: .readOnly)
            var found: StoreError?
            try database.reading(mapping: { $0 }) { () throws(SQLiteError) in
                try checkStructure(of: database)
                found = try gap(in: database, path: path)
                guard found == nil, let seq = try EventDigest.firstDamaged(in: database, after: 0, through: last)
                else { return }
                found = StoreError(.unusable, "the journal in \(path): \(EventDigest.damage(of: seq))")
            }
            return found
        } catch {
            return SQLiteCheckpointStore.failure(error, path)
        }
    }

    /// - Throws: `SQLiteError`, as for a file that cannot be read, if a page or a row is not as it should be.
    static func checkStructure(of database: Database) throws(SQLiteError) {
        if let verdict = try database.text("PRAGMA quick_check(1)"), verdict != "ok" {
            throw SQLiteError(code: 11, message: verdict, sql: "PRAGMA quick_check")
        }
    }

    private static func gap(in database: Database, path: String) throws(SQLiteError) -> StoreError? {
        let count = try database.integer("SELECT count(*) FROM event")
        let last = try database.integer("SELECT coalesce(max(seq), 0) FROM event WHERE seq > 0")
        guard let count, let last, let head = try database.integer("SELECT seq FROM head") else {
            return StoreError(.unusable, "the checkpoint \(path) has no head row; restore it from a backup")
        }
        guard count == last, last == head else {
            return StoreError(
                .unusable,
                "the journal in \(path) has a gap (\(count) events, the last is \(last), the head says \(head)); "
                    + "restore it from a backup")
        }
        return nil
    }
}
