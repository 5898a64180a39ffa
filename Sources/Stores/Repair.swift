package import Agent
import Glibc
import LinuxSystem
import SQLite

extension SQLiteCheckpointStore {
    /// Opens the job's checkpoint and makes sure that it can be taken over; a damaged one, or one that is gone while a
    /// backup is there, is set aside (never deleted) and the newest good backup put in its place, with an event that
    /// says so.
    ///
    /// With `asks`, a human is asked when commands may have run after the backup.
    /// - Throws: `StoreError`, as `init`: `unusable` also if there is no good backup. Nothing is changed then.
    package static func opened(
        path: String, job: String, version: String, host: String, asks: Bool
    ) throws(StoreError) -> SQLiteCheckpointStore {
        mendModes(path)
        // Two that start at the same time would make, or repair, the same files by the same names.
        return try CheckpointLock.with(path) { () throws(StoreError) in
            do throws(StoreError) {
                return try openedAlone(path: path, job: job, version: version, host: host, asks: asks)
            } catch {
                // Even a look at a database needs a -shm, and what was never said cannot be said without it.
                guard error.kind == .full, let reserve = Reserve(of: path), access(reserve.path, F_OK) == 0 else {
                    throw error
                }
                reserve.free()
            }
            return try openedAlone(path: path, job: job, version: version, host: host, asks: asks)
        }
    }

    private static func openedAlone(
        path: String, job: String, version: String, host: String, asks: Bool
    ) throws(StoreError) -> SQLiteCheckpointStore {
        let damage: StoreError
        // Before SQLite has the file: at its end it may fold the -wal in.
        let beyond = WriteAheadEnd.commitsBeyond(path)
        let traces = traces(of: path).joined(separator: ", ")
        if try !isThere(path), !traces.isEmpty {
            damage = StoreError(
                .unusable,
                "the checkpoint \(path) is gone, but not \(traces); put the database back from a backup, or move these "
                    + "away to begin the job anew")
        } else {
            do throws(StoreError) {
                guard beyond <= 1 else {
                    throw StoreError(
                        .unusable,
                        "\(path)-wal is damaged: \(beyond) commits lie beyond a frame that is not what was written")
                }
                let store = try SQLiteCheckpointStore(path: path, job: job)
                // What a power loss has left of a commit would be there still after the next one.
                if beyond > 0 { try store.foldIn() }
                return store
            } catch {
                guard error.kind == .unusable else { throw error }
                damage = error
            }
        }
        guard let backup = Backup.newestGood(of: path, job: job) else { throw damage }
        let repair = Repair(path: path, job: job, backup: backup, damage: damage, tellsItsEnd: beyond == 0)
        try repair.run(version: version, host: host, asks: asks)
        return try SQLiteCheckpointStore(path: path, job: job)
    }
}

extension SQLiteCheckpointStore {
    /// Puts a copy from elsewhere in the place of the job's checkpoint, if it has one. That and its backups are set aside
    /// as `.superseded-<ms>`, never deleted. Killed anywhere, it can be run again.
    ///
    /// `copy` may be the checkpoint itself, which is then only told that others have gone on. `epoch` is the newest that
    /// anybody has claimed. With `hasGoneOn` commands may have run after the copy: the journal says so, and with `asks`
    /// a human is asked.
    ///
    /// - Throws: `StoreError`.
    package static func replace(
        _ path: String, job: String, by copy: String, reason: String, epoch: Int64, hasGoneOn: Bool, version: String,
        host: String, asks: Bool
    ) throws(StoreError) {
        var repair = Repair(path: path, job: job, backup: copy, damage: StoreError(.replaced, reason))
        repair.superseding = (epoch, hasGoneOn)
        try repair.run(version: version, host: host, asks: asks)
    }
}

/// Puts a backup in the place of a damaged checkpoint.
private struct Repair {
    let path: String
    let job: String
    let backup: String
    let damage: StoreError
    /// Whether the last event that the damaged file tells of can be its last: nothing lies beyond.
    var tellsItsEnd = true
    /// The backup is of another volume.
    var superseding: (epoch: Int64, hasGoneOn: Bool)?

    func run(version: String, host: String, asks: Bool) throws(StoreError) {
        let new = path + ".restored"
        // Another ending than the backup's own: whatever is killed when, the backup stays as it is.
        try copyBackup(to: new)
        let lost = known(path)
        let aside = "\(path).\(superseding == nil ? "damaged" : "superseded")-\(Clock.wall)"
        try write(to: new, lost: lost, aside: aside, version: version, host: host, asks: asks)
        do throws(SystemError) {
            // The backups of a superseded checkpoint are of a history that is no longer this job's.
            let backups = superseding == nil ? [] : [".backup", ".backup.1"]
            for suffix in backups + ["-wal", "-shm", ""] where access(path + suffix, F_OK) == 0 {
                try retrying("rename", subject: path + suffix) { rename(path + suffix, aside + suffix) }
            }
            try retrying("rename", subject: path) { rename(new, path) }
            try SQLiteCheckpointStore.synchronizeFolder(of: path)
        } catch {
            throw SQLiteCheckpointStore.failure(error, path, "the backup \(backup) cannot be put in place")
        }
    }

    private func copyBackup(to new: String) throws(StoreError) {
        let database: Database
        do throws(SQLiteError) {
            database = try Database(reading: backup)
        } catch {
            throw SQLiteCheckpointStore.failure(error, backup)
        }
        try Backup.copy(database, to: new, of: backup)
        do throws(SQLiteError) {
            // VACUUM INTO leaves the mode behind.
            try Database(path: new, mode: .readWriteCreate).execute("PRAGMA journal_mode = WAL")
        } catch {
            throw SQLiteCheckpointStore.failure(error, new)
        }
    }

    /// What the damaged file still tells of its last event and epoch.
    private func known(_ path: String) -> (seq: Int64, epoch: Int64)? {
        guard let database = try? Database(reading: path),
            let seq = try? database.integer("SELECT seq FROM head"),
            let epoch = try? database.integer("SELECT epoch FROM head")
        else { return nil }
        return (seq, epoch)
    }

    /// The account of it goes into the copy before that has the job's name: there is no instant at which the job could
    /// go on from it without knowing.
    private func write(
        to new: String, lost: (seq: Int64, epoch: Int64)?, aside: String, version: String, host: String, asks: Bool
    ) throws(StoreError) {
        let store = try SQLiteCheckpointStore(path: new, job: job)
        try store.raiseEpoch(to: max(lost?.epoch ?? 0, superseding?.epoch ?? 0))
        if superseding?.hasGoneOn == false { return try store.foldIn() }
        let ledger = try Ledger(store: store, version: version, host: host)
        let last = ledger.found
        try ledger.commit(
            .restored(
                .init(
                    seq: last,
                    reason: superseding == nil ? "it was put back from a backup: \(damage)" : damage.description,
                    aside: aside,
                    asks: asks && !ledger.state.isFinished
                        && (superseding != nil || !tellsItsEnd || lost?.seq != last))))
        try store.foldIn()
    }
}
