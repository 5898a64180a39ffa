import Agent
import AgentFixtures
import CheckpointStoreConformance
import Events
import Glibc
import LinuxSystem
import SQLite
import Stores
import Testing

struct SQLiteCheckpointStoreTests {
    let folder: TemporaryFolder
    var path: String { folder.path + "/job_j.db" }

    init() throws { folder = try TemporaryFolder() }

    private func begun() throws -> JobState {
        let store = try SQLiteCheckpointStore(path: path, job: "j")
        let ledger = try Ledger(store: store, version: "test", host: "test")
        try ledger.commit(.taskReceived(.init(text: "Do it", source: "AGENT_TASK")))
        return ledger.state
    }

    private func opening() throws -> StoreError? {
        do throws(StoreError) {
            _ = try SQLiteCheckpointStore(path: path, job: "j")
            return nil
        } catch {
            return error
        }
    }

    @Test func `it keeps the contract of a checkpoint store`() throws {
        try CheckpointStoreConformance { try SQLiteCheckpointStore(path: path, job: "j") }.run()
    }

    @Test func `the file is in WAL mode, closed to others, and durable at each commit`() throws {
        _ = try begun()
        let database = try Database(path: path, mode: .readOnly)
        #expect(try database.text("PRAGMA journal_mode") == "wal")
        #expect(try database.integer("PRAGMA page_size") == 8192)
        var status = stat()
        #expect(stat(path, &status) == 0)
        #expect(status.st_mode & 0o077 == 0)
    }

    @Test func `the journal can be read while its owner writes`() throws {
        let store = try SQLiteCheckpointStore(path: path, job: "j")
        let ledger = try Ledger(store: store, version: "test", host: "test")
        let journal = SQLiteJournal(path: path)
        #expect(try journal.events(after: 0, limit: 10).map(\.seq) == [1])
        try ledger.commit(.taskReceived(.init(text: "Do it", source: "AGENT_TASK")))
        #expect(try journal.events(after: 1, limit: 10).map(\.event.kind) == ["task_received"])
    }

    @Test func `a job that has no database yet has no events`() throws {
        #expect(try SQLiteJournal(path: path).events(after: 0, limit: 10).isEmpty)
    }

    @Test func `a damaged database is refused and left as it is`() throws {
        _ = try begun()
        let good = try readFile(path, limit: 1 << 20)
        for damage in [Array("no database".utf8), Array(good.prefix(5000)), []] {
            try folder.write("job_j.db", "")
            for suffix in ["-wal", "-shm"] { unlink(path + suffix) }
            let file = Descriptor(adopting: open(path, O_WRONLY | O_CLOEXEC))
            try writeAll(file.number, damage)
            #expect(try opening()?.kind == .unusable)
            #expect(try readFile(path, limit: 1 << 20) == damage)
        }
    }

    @Test func `a database that has lost its file but not its WAL is no new job`() throws {
        try folder.write("job_j.db-wal", "x")
        #expect(try opening()?.kind == .unusable)
    }

    @Test func `a file beside it that cannot be opened for a moment is waited for`() throws {
        _ = try begun()
        // In place of a -wal that belongs to root for an instant: what open(2) refuses to root too.
        try makeFolder(path + "-wal")
        let command = "sleep 0.1; rmdir \(path)-wal"
        let remover = try Spawn(path: "/bin/sh", arguments: ["sh", "-c", command], environment: [], descriptors: [])
            .start()
        defer { waitpid(remover, nil, 0) }
        #expect(try opening() == nil)
    }

    @Test func `a file beside it that stays closed is said`() throws {
        _ = try begun()
        try makeFolder(path + "-wal")
        #expect(try opening()?.kind == .place)
    }

    @Test func `a gap in the journal is refused`() throws {
        for fault in ["DELETE FROM event WHERE seq = 1", "DELETE FROM event WHERE seq = 2", "UPDATE head SET seq = 9"] {
            _ = try begun()
            do {
                let database = try Database(path: path, mode: .readWriteCreate)
                try database.execute(fault)
            }
            let error = try opening()
            #expect(error?.kind == .unusable, "\(fault)")
            for suffix in ["", "-wal", "-shm"] { unlink(path + suffix) }
        }
    }

    @Test func `a newer schema and another job's database are refused`() throws {
        _ = try begun()
        #expect(throws: StoreError.self) { try SQLiteCheckpointStore(path: path, job: "other") }
        do {
            let database = try Database(path: path, mode: .readWriteCreate)
            try database.execute("UPDATE meta SET schema_version = 2")
        }
        #expect(try opening()?.kind == .newer)
    }

    @Test func `the tables say what the fold says`() throws {
        let store = try SQLiteCheckpointStore(path: path, job: "j")
        let acquisition = try store.acquire()
        var journal = JournalBuilder.begun()
        journal.answer([("execute", ["command": "make"], false), ("read_file", ["path": "a"], true)])
        journal.start("1.0")
        journal.finish("1.0", .failed)
        journal.start("1.1")
        journal.finish("1.1", effects: [.todosStaged([Todo(id: "t1", title: "One", acceptance: "It is")])])
        #expect(acquisition.epoch == 1)
        for (index, event) in journal.events.enumerated() {
            try store.append([event], state: JobState(folding: Array(journal.events[...index])))
        }
        let database = try Database(path: path, mode: .readOnly)
        #expect(try database.text("SELECT group_concat(call_id || state) FROM call") == "1.0failed,1.1done")
        #expect(try database.text("SELECT state || input_tokens FROM llm") == "done100")
        #expect(try database.text("SELECT title || status FROM todo") == "Onepending")
        #expect(try database.integer("SELECT seq FROM head") == Int64(journal.events.count))
        #expect(try database.integer("SELECT turn FROM head") == 1)
    }
}
