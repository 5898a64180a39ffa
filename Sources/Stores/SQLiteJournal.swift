package import Agent
import Glibc
import SQLite

/// A read-only look into a job's SQLite checkpoint, while its owner writes or after it has gone.
///
/// Each call is one short read transaction: a reader that stayed in one would keep the WAL from being folded in.
package final class SQLiteJournal: JournalReader {
    private let path: String
    private var database: Database?

    package init(path: String) { self.path = path }

    package func events(after seq: Int64, limit: Int) throws(StoreError) -> [StoredEvent] {
        if database == nil {
            guard access(path, F_OK) == 0 else { return [] }
            do throws(SQLiteError) {
                database = try Database(reading: path)
            } catch {
                throw SQLiteCheckpointStore.failure(error, path)
            }
        }
        guard let database else { return [] }
        return try readEvents(database, after: seq, limit: limit, path: path)
    }
}
