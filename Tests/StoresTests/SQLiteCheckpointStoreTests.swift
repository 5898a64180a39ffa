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

    @Test func `a look at a journal that others are just taking over finds no damage`() throws {
        _ = try begun()
        let path = path
        let owners = ThreadResult {
            for _ in 0..<300 {
                guard let store = try? SQLiteCheckpointStore(path: path, job: "j") else { return false }
                guard (try? Ledger(store: store, version: "test", host: "test")) != nil else { return false }
            }
            return true
        }
        for _ in 0..<300 { #expect(try opening() == nil) }
        #expect(owners.wait())
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
            try database.execute("UPDATE meta SET schema_version = 99")
        }
        #expect(try opening()?.kind == .newer)
    }

    /// A job in its tactical phase with one call that gave `output`.
    private func worked(_ store: SQLiteCheckpointStore, output: String, times: Int = 1) throws -> Ledger {
        let ledger = try Ledger(store: store, version: "test", host: "test")
        try ledger.commit(.taskReceived(.init(text: "Do it", source: "AGENT_TASK")))
        try ledger.commit(
            .phaseChanged(.init(from: .strategic, to: .tactical, number: 2, reason: "test", brief: "brief")))
        for _ in 0..<times {
            let turn = ledger.state.spent.steps + 1
            try ledger.commit(.llmIntent(.init(turn: turn, attempt: 1, hold: 10)))
            let call = Event.Call(id: "\(turn).0", providerID: "x", tool: "execute", input: [:], isIdempotent: false)
            try ledger.commit(
                .llmDone(
                    .init(
                        turn: turn, attempt: 1, content: [.toolCall(id: "x", name: "execute", input: [:])],
                        calls: [call], stop: .toolUse, duration: 1)))
            try ledger.commit(.callStarted(.init(call: call.id, attempt: 1)))
            try ledger.commit(
                .callFinished(
                    .init(call: call.id, outcome: .done, content: output, effects: [], facts: [:], duration: 1)))
        }
        return ledger
    }

    @Test(arguments: [0, 8192, 8193, 100_000])
    func `an output of any size comes back whole, and the same one is kept once`(size: Int) throws {
        let output = String(repeating: "é\n", count: size / 3) + String(repeating: "x", count: size % 3)
        let ledger = try worked(SQLiteCheckpointStore(path: path, job: "j"), output: output, times: 3)
        let events = try SQLiteJournal(path: path).events(after: 0, limit: -1)
        let contents = events.compactMap { stored -> String? in
            if case .callFinished(let body) = stored.event { body.content } else { nil }
        }
        #expect(contents == [output, output, output])
        #expect(JobState(folding: events) == ledger.state)
        let database = try Database(path: path, mode: .readOnly)
        #expect(try database.integer("SELECT count(*) FROM blob") == (size > 8192 ? 1 : 0))
        #expect(try database.integer("SELECT max(length(body)) FROM event").map { $0 < 12000 } == true)
        #expect(try CheckpointAudit.violations(of: path, job: "j") == [])
    }

    @Test func `a start takes the state of the last phase boundary and only the events after it`() throws {
        let state = try worked(SQLiteCheckpointStore(path: path, job: "j"), output: "out", times: 2).state
        let acquisition = try SQLiteCheckpointStore(path: path, job: "j").acquire()
        #expect(acquisition.state.seq == 3)
        #expect(acquisition.events.first?.seq == 4)
        var folded = acquisition.state
        for event in acquisition.events { folded.apply(event) }
        #expect(folded == state)
    }

    @Test func `the state that a process goes on with is the fold of the journal, and time between processes is none`()
        throws
    {
        for time in [1000, 50_000] as [Int64] {
            let store = try SQLiteCheckpointStore(path: path, job: "j")
            var now = time
            let ledger = try Ledger(store: store, version: "test", host: "test") {
                now += 5
                return now
            }
            try ledger.commit(.noted(.init(kind: .reminder, text: "x")))
            #expect(ledger.state == JobState(folding: try SQLiteJournal(path: path).events(after: 0, limit: -1)))
        }
        let events = try SQLiteJournal(path: path).events(after: 0, limit: -1)
        #expect(JobState(folding: events).spent.wall == 10)
    }

    @Test(arguments: ["UPDATE event SET kind = 'dreamt' WHERE seq = 1", "UPDATE event SET body = '{' WHERE seq = 2"])
    func `an event that cannot be read is damage, before a snapshot too`(fault: String) throws {
        _ = try worked(SQLiteCheckpointStore(path: path, job: "j"), output: "out")
        try Database(path: path, mode: .readWriteCreate).execute(fault)
        let error = try #require(throws: StoreError.self) { try SQLiteCheckpointStore(path: path, job: "j") }
        #expect(error.kind == .unusable && error.description.contains("is not what was written"))
    }

    @Test func `a change of any event is found, whoever of those that share the work looks at it`() throws {
        let ledger = try worked(SQLiteCheckpointStore(path: path, job: "j"), output: "out", times: 3)
        try ledger.commit(
            .phaseChanged(.init(from: .tactical, to: .strategic, number: 3, reason: "test", brief: "brief")))
        let last = ledger.state.seq
        let database = try Database(path: path, mode: .readWriteCreate)
        #expect(try database.integer("SELECT max(seq) FROM snapshot") == last)
        for seq in 1...last {
            try database.run("UPDATE event SET body = body || ' ' WHERE seq = ?", seq)
            let error = try #require(throws: StoreError.self) { try SQLiteCheckpointStore(path: path, job: "j") }
            #expect(error.description.contains("event \(seq) is not what was written"))
            try database.run("UPDATE event SET body = rtrim(body, ' ') WHERE seq = ?", seq)
        }
        _ = try SQLiteCheckpointStore(path: path, job: "j")
    }

    @Test(arguments: ["UPDATE snapshot SET body = '{}'", "UPDATE snapshot SET state_v = 99", "DELETE FROM snapshot"])
    func `a snapshot that cannot be used is passed over`(fault: String) throws {
        let state = try worked(SQLiteCheckpointStore(path: path, job: "j"), output: "out").state
        try Database(path: path, mode: .readWriteCreate).execute(fault)
        let acquisition = try SQLiteCheckpointStore(path: path, job: "j").acquire()
        #expect(acquisition.state == JobState())
        #expect(JobState(folding: acquisition.events) == state)
    }

    @Test func `a compaction leaves a snapshot, of a state that is short`() throws {
        let ledger = try worked(SQLiteCheckpointStore(path: path, job: "j"), output: "out")
        let compacted = Event.Compacted(
            dropped: ledger.state.messages.count, answers: 1, tokens: 9, words: [], digest: ["1. It worked."],
            brief: "Go on.")
        try ledger.commit(.compacted(compacted))
        let acquisition = try SQLiteCheckpointStore(path: path, job: "j").acquire()
        #expect(acquisition.events.isEmpty && acquisition.state == ledger.state && ledger.state.messages.count == 1)
    }

    @Test func `two snapshots are kept at most`() throws {
        let ledger = try worked(SQLiteCheckpointStore(path: path, job: "j"), output: "out")
        for number in 3...9 {
            let (from, to) = number % 2 == 1 ? (Phase.tactical, Phase.strategic) : (.strategic, .tactical)
            try ledger.commit(.phaseChanged(.init(from: from, to: to, number: number, reason: "test", brief: "")))
        }
        let database = try Database(path: path, mode: .readOnly)
        #expect(try database.integer("SELECT count(*) FROM snapshot") == 2)
        #expect(try database.integer("SELECT max(seq) FROM snapshot") == ledger.state.seq)
    }

    @Test(arguments: [
        ("UPDATE blob SET data = 'forged'", "its text is another"), ("DELETE FROM blob", "its output is gone"),
    ])
    func `an output that is not what it was is found`(fault: String, words: String) throws {
        _ = try worked(SQLiteCheckpointStore(path: path, job: "j"), output: String(repeating: "x", count: 9000))
        try Database(path: path, mode: .readWriteCreate).execute(fault)
        #expect(try CheckpointAudit.violations(of: path, job: "j").contains { $0.contains(words) })
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
