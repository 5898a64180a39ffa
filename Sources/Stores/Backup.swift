import Agent
import Glibc
import LinuxSystem
import SQLite

/// Copies of a checkpoint beside it, made at phase boundaries: `<path>.backup`, the newest, and `<path>.backup.1`, the
/// one before. Each is a whole database without a -wal.
enum Backup {
    /// The newest first.
    static func places(of path: String) -> [String] { [path + ".backup", path + ".backup.1"] }

    /// Makes a new one; the one before the last goes. On the disk when it returns.
    ///
    /// - Throws: `StoreError`; the copies are as they were, or one fewer.
    static func make(of database: Database, path: String) throws(StoreError) {
        let places = places(of: path)
        try copy(database, to: places[0] + ".new", of: path)
        do throws(SystemError) {
            if access(places[0], F_OK) == 0 {
                try retrying("rename", subject: places[0]) { rename(places[0], places[1]) }
            }
            try retrying("rename", subject: places[0]) { rename(places[0] + ".new", places[0]) }
            try SQLiteCheckpointStore.synchronizeFolder(of: path)
        } catch {
            throw SQLiteCheckpointStore.failure(error, path, "the backup \(places[0]) cannot be made")
        }
    }

    /// Copies the database as it stands into a new file, closed to others, on the disk when it returns.
    ///
    /// VACUUM INTO, not a copy of the file: the newest commits are in the -wal (a snapshot of 200 steps once had none).
    static func copy(_ database: Database, to new: String, of path: String) throws(StoreError) {
        for suffix in ["", "-wal", "-shm", "-journal"] { _ = unlink(new + suffix) }
        do throws(SQLiteError) {
            try database.run("VACUUM INTO ?", new)
        } catch {
            _ = unlink(new)
            throw SQLiteCheckpointStore.failure(error, path)
        }
        _ = chmod(new, 0o600)
        do throws(SystemError) {
            try SQLiteCheckpointStore.synchronize(new)
        } catch {
            _ = unlink(new)
            throw SQLiteCheckpointStore.failure(error, path, "the copy \(new) of \(path) cannot be made")
        }
    }

    /// The newest of which everything holds, nil if there is none.
    static func newestGood(of path: String, job: String) -> String? {
        places(of: path).first { place in
            guard access(place, F_OK) == 0 else { return false }
            return (try? CheckpointAudit.violations(of: place, job: job).isEmpty) ?? false
        }
    }
}
