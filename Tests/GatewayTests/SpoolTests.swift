import AgentFixtures
import Contracts
import Events
import Gateway
import Glibc
import SQLite
import Testing

struct SpoolTests {
    let folder: TemporaryFolder
    var path: String { folder.path + "/spool_j.db" }

    init() throws { folder = try TemporaryFolder() }

    private func spool(limit: Int64 = 1 << 28, tail: Int64 = 10, sinks: [String] = ["a", "b"]) throws -> Spool {
        try Spool(path: path, job: "j", limit: limit, tail: tail, sinks: sinks)
    }

    private func entries(_ range: ClosedRange<Int>, size: Int = 10, journal: Int64? = nil) -> [SpoolEntry] {
        range.map { number in
            let body = "\(number) " + String(repeating: "x", count: size)
            return SpoolEntry(
                LogRecord(time: 0, stream: .stdout, body: body),
                journal: journal.map { JournalCursor(seq: $0, mark: "m") })
        }
    }

    private func bodies(_ deliveries: [Delivery]) throws -> [String] {
        try deliveries.map { try #require(try JSON(parsing: $0.record)["body"]?.string) }
    }

    @Test func `numbers go on from 1 over restarts`() throws {
        try spool().commit(entries(1...2) + entries(3...3, journal: 7))
        let again = try spool()
        #expect(again.journal.seq == 7 && again.nextSeq == 4 && !again.isNew)
        try again.commit(entries(4...5))
        let deliveries = try again.deliveries(after: 0, count: 100, bytes: 1 << 20)
        #expect(deliveries.map(\.seq) == [1, 2, 3, 4, 5])
        #expect(try JSON(parsing: deliveries[4].record)["seq"] == 5)
        #expect(again.journal == JournalCursor(seq: 7, mark: "m"))
        // What is published with each record, for a spool on another volume.
        #expect(deliveries.map { $0.journal?.text } == ["0 ", "0 ", "7 m", "7 m", "7 m"])
    }

    @Test func `an event goes with its record`() throws {
        let spool = try spool()
        var entry = entries(1...1)[0]
        entry.event = EventDraft("agent.test", ["a": 1])
        try spool.commit([entry])
        let event = try JSON(parsing: try #require(try spool.deliveries(after: 0, count: 1, bytes: 1)[0].event))
        #expect(event["id"] == "j.1" && event["type"] == "agent.test" && event["data"] == ["a": 1])
    }

    @Test func `each sink has its own place, which is kept`() throws {
        let spool1 = try spool()
        try spool1.commit(entries(1...5))
        spool1.advance("a", to: 3)
        // Never back, never beyond what there is.
        spool1.advance("a", to: 2)
        spool1.advance("a", to: 99)
        try spool1.commit([])
        let spool2 = try spool()
        #expect(spool2.cursor(of: "a") == 3 && spool2.cursor(of: "b") == 0)
    }

    @Test func `a batch ends at its count and its bytes, and has one record at least`() throws {
        let spool = try spool()
        try spool.commit(entries(1...10, size: 1000))
        #expect(try spool.deliveries(after: 2, count: 3, bytes: 1 << 20).map(\.seq) == [3, 4, 5])
        #expect(try spool.deliveries(after: 0, count: 10, bytes: 1).map(\.seq) == [1])
        #expect(try spool.deliveries(after: 10, count: 10, bytes: 1).isEmpty)
    }

    @Test func `what all have taken goes, but for the tail`() throws {
        let spool = try spool()
        try spool.commit(entries(1...1000))
        spool.advance("a", to: 1000)
        try spool.commit([])
        #expect(try spool.deliveries(after: 0, count: 1, bytes: 1).first?.seq == 1)
        spool.advance("b", to: 1000)
        try spool.commit([])
        let left = try spool.deliveries(after: 990, count: 1000, bytes: 1 << 20)
        #expect(left.map(\.seq) == Array(991...1000))
        #expect(spool.bytes == Int64(left.reduce(0) { $0 + $1.record.utf8.count + 32 }))
    }

    @Test func `when it is full the oldest go, and one gap record says which`() throws {
        let spool = try spool(limit: 100_000)
        for start in 0..<100 { try spool.commit(entries(start * 10...start * 10 + 9, size: 1000)) }
        #expect(spool.bytes <= 100_000)
        spool.advance("a", to: 900)
        let deliveries = try spool.deliveries(after: 5, count: 10000, bytes: 1 << 30)
        let gap = try JSON(parsing: try #require(deliveries.first).record)
        #expect(gap["attributes"]?["event.name"] == "gap")
        #expect(gap["attributes"]?["gap.from"] == 6)
        let to = try #require(gap["attributes"]?["gap.to"]?.int)
        #expect(gap["attributes"]?["gap.reason"]?.string?.contains("AGENT_SPOOL_MAX_BYTES") == true)
        #expect(deliveries.map(\.seq) == Array(Int64(to)...1000))
        // One that has taken more has lost less.
        #expect(try spool.deliveries(after: 990, count: 100, bytes: 1 << 20).map(\.seq) == Array(991...1000))
    }

    @Test func `the file stays within reach of its limit`() throws {
        let spool = try spool(limit: 200_000)
        for start in 0..<200 { try spool.commit(entries(start * 10...start * 10 + 9, size: 1000)) }
        var size = stat()
        #expect(stat(path, &size) == 0)
        #expect(size.st_size < 500_000)
    }

    @Test func `a record larger than the whole spool is kept while it is the newest`() throws {
        let spool = try spool(limit: 1000)
        try spool.commit(entries(1...1, size: 5000))
        #expect(try spool.deliveries(after: 0, count: 10, bytes: 1 << 20).map(\.seq) == [1])
    }

    @Test func `a new spool goes on after what sinks hold`() throws {
        let spool1 = try spool()
        #expect(spool1.isNew)
        spool1.goOn(after: Holding(seq: 41, journal: JournalCursor(seq: 20, mark: "m")))
        #expect(spool1.journal.seq == 20)
        try spool1.commit(entries(1...1))
        #expect(try spool1.deliveries(after: 41, count: 10, bytes: 1 << 20).map(\.seq) == [42])
        #expect(spool1.cursor(of: "a") == 41)
    }

    @Test func `a damaged spool is set aside and a new one begun`() throws {
        let first = try spool().incarnation
        try folder.write("spool_j.db", String(repeating: "damage ", count: 5000))
        let again = try spool()
        let aside = try #require(again.setAside)
        #expect(access(aside, F_OK) == 0)
        #expect(again.isNew && again.incarnation != first)
        try again.commit(entries(1...1))
    }

    @Test func `a folder that is not there is a configuration error with the setting's name`() throws {
        let error = try #require(throws: GatewayError.self) {
            try Spool(path: folder.path + "/none/spool.db", job: "j", limit: 1 << 20, sinks: [])
        }
        #expect(error.exit == .configuration && error.description.contains("AGENT_CHECKPOINT_DIR"))
    }

    @Test func `a spool of version 1 is used on`() throws {
        do {
            let old = try spool()
            try old.commit(entries(1...3))
            let database = try Database(path: path, mode: .readWriteCreate)
            try database.execute(
                """
                DROP TABLE gasp; ALTER TABLE spool DROP COLUMN journal_mark; ALTER TABLE record DROP COLUMN journal;
                PRAGMA user_version = 1
                """)
        }
        let spool = try spool()
        try spool.commit([SpoolEntry(LogRecord(time: 1, stream: .lastGasp, body: "x"), gasp: "x.gasp")])
        #expect(spool.nextSeq == 5)
        #expect(try spool.deliveries(after: 2, count: 9, bytes: 1 << 20).map { $0.journal?.seq } == [nil, 0])
        #expect(spool.holds(gasp: "x.gasp"))
    }

    @Test func `the file is closed to others`() throws {
        _ = try spool()
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o077 == 0)
    }

    @Test func `a commit that fails changes nothing, and the same can be stored later`() throws {
        let spool = try spool()
        try spool.commit(entries(1...2))
        let other = try Database(path: path, mode: .readWriteCreate)
        try other.execute(
            "CREATE TRIGGER no BEFORE INSERT ON record WHEN NEW.seq = 4 BEGIN SELECT RAISE(ABORT, 'no'); END")
        #expect(throws: SQLiteError.self) { try spool.commit(entries(3...4, journal: 9)) }
        #expect(spool.nextSeq == 3 && spool.journal == .beginning)
        #expect(try spool.deliveries(after: 2, count: 9, bytes: 1 << 20).isEmpty)
        try other.execute("DROP TRIGGER no")
        try spool.commit(entries(3...4, journal: 9))
        #expect(try bodies(spool.deliveries(after: 2, count: 9, bytes: 1 << 20)).map { $0.prefix(1) } == ["3", "4"])
    }
}
