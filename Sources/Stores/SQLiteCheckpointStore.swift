package import Agent
import Events
import Glibc
import LinuxSystem
import SQLite

/// The checkpoint in one SQLite file: WAL, `synchronous=FULL`, one writing connection.
///
/// A transaction is on the disk when `append` returns. Each one checks the epoch first: an owner that has been
/// superseded changes nothing more. SQLite 3.7.0 to 3.51.2 can reset the WAL wrongly when two connections write
/// (sqlite.org/wal.html): this class is the only writer, readers use `SQLiteJournal`.
package final class SQLiteCheckpointStore: CheckpointStore {
    private let database: Database
    private let path: String
    private let job: String
    private let reserve: Reserve?
    private var epoch: Int64 = 0
    /// The journal as `load` has read it.
    private var loaded: (state: JobState, events: [StoredEvent])?
    private let projection: Projection

    /// Opens the job's database, or makes it if there is none, checks it and reads its journal: one that cannot be read is
    /// found before anything is changed.
    ///
    /// - Throws: `StoreError`: `unusable` if it is damaged or another job's, `newer`, `place`. The file is left as it is.
    package init(path: String, job: String) throws(StoreError) {
        self.path = path
        self.job = job
        if try !Self.isThere(path) { try Self.create(path: path, job: job) }
        do throws(SQLiteError) {
            database = try Self.connect(path)
        } catch {
            throw Self.failure(error, path)
        }
        projection = Projection(database: database)
        reserve = Reserve(of: path)
        try Migration(database: database, path: path).run(job: job)
        // Each takes as long as the file is long: one beside the other, and half of the old events for each.
        let half = try head() / 2
        let inspection = ThreadResult { Inspection.damage(of: path, eventsTo: half) }
        do throws(StoreError) {
            try load(inspectedTo: half)
        } catch {
            throw inspection.wait() ?? error
        }
        if let damage = inspection.wait() { throw damage }
    }

    private func head() throws(StoreError) -> Int64 {
        do throws(SQLiteError) {
            return try database.integer("SELECT seq FROM head") ?? 0
        } catch {
            throw Self.failure(error, path)
        }
    }

    /// Opens the file; tries again for half a second when a file beside it cannot be opened.
    ///
    /// A reader that runs as root makes the -wal and -shm as root and gives them to the database's owner only then
    /// (`robustFchown` in SQLite's os_unix.c): a writer that comes in between is refused.
    private static func connect(_ path: String) throws(SQLiteError) -> Database {
        var attempts = 1
        while true {
            do throws(SQLiteError) {
                let database = try Database(path: path, mode: .readWriteCreate)
                try database.execute(Schema.connection)
                // The first to look at the file, in which SQLite finds out about the -wal.
                _ = try database.integer("SELECT count(*) FROM meta")
                return database
            } catch {
                guard error.cannotOpen, attempts < 10 else { throw error }
            }
            attempts += 1
            _ = poll(nil, 0, 50)
        }
    }

    // MARK: Making

    /// Makes the file under another name and renames it, so that a file of the right name is always whole: an empty
    /// one is damage, not a beginning. `fill` writes what the job has behind it, in the same transaction.
    static func create(
        path: String, job: String, fill: (Database) throws(SQLiteError) -> Void = { _ in }
    ) throws(StoreError) {
        guard access(path + "-wal", F_OK) != 0 else {
            throw StoreError(
                .unusable,
                "the checkpoint \(path) is gone but its \(path)-wal is there; put the database back from a backup, or "
                    + "move the -wal away to begin the job anew")
        }
        let new = path + ".new"
        for suffix in ["", "-wal", "-shm"] { _ = unlink(new + suffix) }
        do throws(SQLiteError) {
            let database = try Database(path: new, mode: .readWriteCreate)
            try database.execute(Schema.creation)
            try database.execute(Schema.connection)
            try database.transaction { () throws(SQLiteError) in
                try database.execute(Schema.tables)
                for version in 2...Schema.version { try database.execute(Schema.migrations[version] ?? "") }
                try database.run("INSERT INTO meta VALUES (1, ?, ?)", Schema.version, job)
                try database.run("INSERT INTO head VALUES (1, 0, 0, 'waiting_for_task', 'STRATEGIC', 1, 0, '{}')")
                try fill(database)
            }
            // Everything into the one file: a rename does not take a -wal along.
            try database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        } catch {
            // What is left of it would take what little room there is.
            for suffix in ["", "-wal", "-shm"] { _ = unlink(new + suffix) }
            throw failure(error, path)
        }
        _ = chmod(new, 0o600)
        do throws(SystemError) {
            try synchronize(new)
            try retrying("rename", subject: path) { rename(new, path) }
            try synchronizeFolder(of: path)
        } catch {
            throw failure(error, path, "the checkpoint \(path) cannot be made")
        }
    }

    static func synchronize(_ path: String) throws(SystemError) {
        let file = Descriptor(adopting: try retrying("open", subject: path) { open(path, O_RDONLY | O_CLOEXEC) })
        try retrying("fsync", subject: path) { fsync(file.number) }
    }

    /// Makes the names in the file's folder durable.
    static func synchronizeFolder(of path: String) throws(SystemError) {
        try synchronize(folder(of: path))
    }

    // MARK: Use

    /// Events before a snapshot must be as they were written all the same, or the damage would be found only by those who
    /// look at them; those up to `inspected` are somebody else's to look at.
    ///
    /// Of one moment: another start may take the job over between two looks, and its epoch in the journal with an older one
    /// in the head would pass for damage.
    private func load(inspectedTo inspected: Int64) throws(StoreError) {
        let map = { [path] (error: SQLiteError) in Self.failure(error, path) }
        try database.reading(mapping: map) { () throws(StoreError) in try loadAll(inspectedTo: inspected) }
    }

    private func loadAll(inspectedTo inspected: Int64) throws(StoreError) {
        let state: JobState
        let epoch: Int64
        let damaged: Int64?
        do throws(SQLiteError) {
            epoch = try database.integer("SELECT epoch FROM head") ?? 0
            state = try StateSnapshot.newest(in: database) ?? JobState()
            damaged = try EventDigest.firstDamaged(in: database, after: inspected, through: state.seq)
        } catch {
            throw Self.failure(error, path)
        }
        if let damaged { throw StoreError(.unusable, "the journal in \(path): \(EventDigest.damage(of: damaged))") }
        let events = try readEvents(database, after: state.seq, limit: -1, path: path)
        // An epoch that has been given already would let its owner go on beside this one.
        let last = events.last?.epoch ?? state.epoch
        guard epoch >= last else {
            throw StoreError(
                .unusable,
                "the epoch in the head of \(path) is \(epoch), the journal has \(last); restore it from a backup")
        }
        loaded = (state, events)
    }

    package func reserveRoom() throws(StoreError) {
        do throws(SystemError) {
            try reserve?.make()
        } catch {
            throw Self.failure(error, path, "there is no room for \(reserve?.path ?? "")")
        }
    }

    package func releaseRoom() { reserve?.free() }

    package func acquire() throws(StoreError) -> Acquisition {
        let map = { [path] (error: SQLiteError) in Self.failure(error, path) }
        // In one transaction: a journal that cannot be read is not taken over, and nothing comes in between.
        try database.transaction(mapping: map) { () throws(StoreError) in
            do throws(SQLiteError) {
                let last = try database.integer("SELECT seq FROM head")
                if let loaded, loaded.events.last?.seq ?? loaded.state.seq != last { self.loaded = nil }
            } catch {
                throw map(error)
            }
            if loaded == nil { try loadAll(inspectedTo: 0) }
            do throws(SQLiteError) {
                try database.run("UPDATE head SET epoch = epoch + 1")
                epoch = try database.integer("SELECT epoch FROM head") ?? 0
            } catch {
                throw map(error)
            }
        }
        defer { loaded = nil }
        return Acquisition(epoch: epoch, state: loaded?.state ?? JobState(), events: loaded?.events ?? [])
    }

    /// Makes the epoch at least this one: for a copy of a database that has gone on.
    func raiseEpoch(to least: Int64) throws(StoreError) {
        do throws(SQLiteError) {
            try database.run("UPDATE head SET epoch = max(epoch, ?)", least)
        } catch {
            throw Self.failure(error, path)
        }
    }

    /// Folds the WAL in, so that the file alone is the whole database.
    func foldIn() throws(StoreError) {
        do throws(SQLiteError) {
            try database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        } catch {
            throw Self.failure(error, path)
        }
    }

    package func append(_ events: [StoredEvent], state: JobState) throws(StoreError) {
        let map = { [path] (error: SQLiteError) in Self.failure(error, path) }
        do throws(StoreError) {
            try database.transaction(mapping: map) { () throws(StoreError) in
                try checkOwnership(of: events)
                do throws(SQLiteError) {
                    for stored in events { try projection.write(stored) }
                    try projection.writeHead(state, todos: events.contains(where: \.changesTodos))
                    if events.contains(where: \.endsChapter) { try StateSnapshot.write(state, to: database) }
                } catch {
                    throw map(error)
                }
            }
            guard events.contains(where: \.isPhaseBoundary) else { return }
            try foldInAtBoundary()
        } catch {
            // After a failed fsync nobody knows what is on the disk, and a second one would say that all is well
            // (Rebello et al., Can Applications Recover from fsync Failures?, USENIX ATC 2020).
            if error.kind == .inputOutput { database.abandon() }
            throw error
        }
        do throws(StoreError) {
            // A moment is enough for whoever opens it, and a backup can be left out once.
            try CheckpointLock.with(path, patience: 1000) { () throws(StoreError) in
                try checkOwnership(of: [])
                try Backup.make(of: database, path: path)
            }
        } catch {
            // The job does not depend on it; the loop's stderr is in the log.
            _ = try? writeAll(2, "no backup of the checkpoint was made: \(error)\n")
        }
    }

    /// Folds the WAL in at a phase boundary, where nothing waits for it. A reader may be in the way, or there is no room:
    /// next time. What was committed stays in the -wal until then.
    private func foldInAtBoundary() throws(StoreError) {
        do throws(SQLiteError) {
            try database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        } catch {
            guard error.isBusy || error.isFull else { throw Self.failure(error, path) }
        }
    }

    private func checkOwnership(of events: [StoredEvent]) throws(StoreError) {
        let owner: Int64?
        let last: Int64?
        do throws(SQLiteError) {
            owner = try database.integer("SELECT epoch FROM head")
            last = try database.integer("SELECT seq FROM head")
        } catch {
            throw Self.failure(error, path)
        }
        guard owner == epoch, events.allSatisfy({ $0.epoch == epoch }) else {
            throw StoreError(
                .fenced,
                "another process has taken job \(job) over (epoch \(owner ?? 0), this one has \(epoch)); this one stops"
            )
        }
        for (offset, event) in events.enumerated() where event.seq != (last ?? 0) + Int64(offset) + 1 {
            throw StoreError(.unusable, "event \(event.seq) does not follow event \(last ?? 0) in \(path)")
        }
    }
}

extension StoredEvent {
    fileprivate var isPhaseBoundary: Bool { if case .phaseChanged = event { true } else { false } }

    /// The state is as short as it will be for a while, or what comes is work of its own.
    fileprivate var endsChapter: Bool {
        switch event {
        case .phaseChanged, .compacted: true
        default: false
        }
    }

    fileprivate var changesTodos: Bool {
        guard case .callFinished(let body) = event else { return false }
        return body.effects.contains { effect in
            switch effect {
            case .todosStaged, .todoUpdated: true
            default: false
            }
        }
    }
}
