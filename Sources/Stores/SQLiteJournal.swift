package import Agent
import Glibc
import SQLite

/// A read-only look into a job's SQLite checkpoint, while its owner writes or after it has gone.
///
/// Each call is one short read transaction: a reader that stayed in one would keep the WAL from being folded in.
package final class SQLiteJournal: JournalReader {
    private let path: String
    private var database: Database?
    /// The file that is open: device and inode.
    private var file: (UInt64, UInt64)?

    package init(path: String) { self.path = path }

    package func events(after seq: Int64, limit: Int) throws(StoreError) -> [StoredEvent] {
        if database == nil {
            guard access(path, F_OK) == 0 else { return [] }
            file = identity()
            do throws(SQLiteError) {
                database = try Database(reading: path)
            } catch {
                throw SQLiteCheckpointStore.failure(error, path)
            }
        }
        guard let database else { return [] }
        // A backup takes the place of a damaged checkpoint under the same name; ours would be read on for ever.
        if let file, let now = identity(), file != now {
            self.database = nil
            throw StoreError(.replaced, "the checkpoint \(path) was put back from a backup")
        }
        return try readEvents(database, after: seq, limit: limit, path: path)
    }

    private func identity() -> (UInt64, UInt64)? {
        var status = stat()
        return stat(path, &status) == 0 ? (UInt64(status.st_dev), UInt64(status.st_ino)) : nil
    }
}
