import Agent
import Glibc
import LinuxSystem
import SQLite

/// Brings an older checkpoint to this program's version: forward only, in one transaction, after a copy was made.
struct Migration {
    let database: Database
    let path: String

    /// - Throws: `StoreError`: `unusable` if it is another job's or no checkpoint, `newer`; nothing was changed then.
    func run(job: String) throws(StoreError) {
        let version: Int64?
        let owner: String?
        do throws(SQLiteError) {
            version = try database.integer("SELECT schema_version FROM meta")
            owner = try database.text("SELECT job_id FROM meta")
        } catch {
            throw SQLiteCheckpointStore.failure(error, path)
        }
        guard let version, let owner else {
            throw StoreError(.unusable, "the checkpoint \(path) has no meta row; restore it from a backup")
        }
        guard version >= 1 else {
            throw StoreError(
                .unusable, "the checkpoint \(path) has schema version \(version); restore it from a backup")
        }
        guard version <= Schema.version else {
            throw StoreError(
                .newer,
                "the checkpoint \(path) has schema version \(version), this program knows \(Schema.version); "
                    + "use the newer agent-init that wrote it")
        }
        guard owner == job else {
            throw StoreError(.foreign, "the checkpoint \(path) belongs to job \(owner), not to \(job)")
        }
        guard version < Schema.version else { return }
        do throws(SQLiteError) {
            try Inspection.checkStructure(of: database)
        } catch {
            throw SQLiteCheckpointStore.failure(error, path)
        }
        try copy(of: version)
        try migrate(from: version)
    }

    /// The database as it was, whole and on the disk, as `<path>.v<version>`; one that is there already stays.
    private func copy(of version: Int64) throws(StoreError) {
        let copy = "\(path).v\(version)"
        guard access(copy, F_OK) != 0 else { return }
        try Backup.copy(database, to: copy + ".new", of: path)
        do throws(SystemError) {
            try retrying("rename", subject: copy) { rename(copy + ".new", copy) }
            try SQLiteCheckpointStore.synchronizeFolder(of: path)
        } catch {
            throw SQLiteCheckpointStore.failure(error, path, "the copy \(copy) before the migration cannot be made")
        }
    }

    private func migrate(from version: Int64) throws(StoreError) {
        do throws(SQLiteError) {
            try database.transaction { () throws(SQLiteError) in
                for next in version + 1...Schema.version { try database.execute(Schema.migrations[next] ?? "") }
                try EventDigest.fill(database)
                try database.run("UPDATE meta SET schema_version = ?", Schema.version)
            }
        } catch {
            throw SQLiteCheckpointStore.failure(error, path)
        }
    }
}
