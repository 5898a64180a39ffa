import Glibc
import SQLite

/// The version of the libsqlite3 that this process has loaded.
package var sqliteVersion: String {
    guard let database = try? Database(path: ":memory:", mode: .readWriteCreate),
        let version = try? database.text("SELECT sqlite_version()")
    else { return "unknown" }
    return version
}

/// Makes a database in WAL mode in a folder, writes to it, reads that back and removes it: the folder's file system has
/// the locks and the shared memory that a checkpoint needs.
///
/// - Returns: what went wrong; nil if nothing did.
package func tryWriteAheadLog(in folder: String) -> String? {
    let path = "\(folder)/.agent-init-doctor-\(getpid()).db"
    defer { for ending in ["", "-wal", "-shm"] { unlink(path + ending) } }
    do throws(SQLiteError) {
        let writer = try Database(path: path, mode: .readWriteCreate)
        guard try writer.text("PRAGMA journal_mode = WAL") == "wal" else { return "SQLite refuses the mode" }
        try writer.execute(
            "PRAGMA synchronous = FULL; CREATE TABLE trial (value INTEGER); INSERT INTO trial VALUES (7)")
        // By another connection: that is what the shared memory is for.
        let reader = try Database(path: path, mode: .readOnly)
        return try reader.integer("SELECT value FROM trial") == 7 ? nil : "what was written cannot be read back"
    } catch {
        return "\(error)"
    }
}
