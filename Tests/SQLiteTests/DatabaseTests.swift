import AgentFixtures
import Glibc
import SQLite
import Testing

struct DatabaseTests {
    let folder: TemporaryFolder
    var path: String { folder.path + "/test.db" }

    init() throws { folder = try TemporaryFolder() }

    private func made() throws -> Database {
        let database = try Database(path: path, mode: .readWriteCreate)
        try database.execute("PRAGMA journal_mode=WAL; CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
        return database
    }

    @Test func `every type reads back as it was bound`() throws {
        let database = try made()
        let text = "ünïcode \u{1F980} with \0 inside"
        try database.run(
            "INSERT INTO t VALUES (1, ?), (2, ?), (3, ?), (4, ?), (5, ?), (6, ?)", Int64.min, 1.5, text,
            [0, 255, 7] as [UInt8], nil, true)
        let rows = try database.statement("SELECT b FROM t ORDER BY a")
        #expect(try rows.step() && rows.integer(0) == .min)
        #expect(try rows.step() && rows.double(0) == 1.5)
        #expect(try rows.step() && rows.text(0) == text)
        #expect(try rows.step() && rows.bytes(0) == [0, 255, 7])
        #expect(try rows.step() && rows.isNull(0) && rows.text(0) == nil && rows.bytes(0).isEmpty)
        #expect(try rows.step() && rows.integer(0) == 1)
        #expect(try !rows.step())
    }

    @Test func `empty text and an empty blob are not NULL`() throws {
        let database = try made()
        try database.run("INSERT INTO t VALUES (1, ?), (2, ?)", "", [] as [UInt8])
        #expect(try database.integer("SELECT count(*) FROM t WHERE b IS NOT NULL") == 2)
    }

    @Test func `a statement that is used again has no bindings of before`() throws {
        let database = try made()
        try database.run("INSERT INTO t VALUES (?, ?)", 1, "old")
        let again = try database.statement("INSERT INTO t VALUES (?, ?)")
        try again.bind([2])
        #expect(try !again.step())
        #expect(try database.text("SELECT b FROM t WHERE a = 2") == nil)
    }

    @Test func `a transaction that throws changes nothing`() throws {
        let database = try made()
        struct Mistake: Error {}
        #expect(throws: (any Error).self) {
            try database.transaction(mapping: { $0 as any Error }) { () throws(any Error) in
                try database.run("INSERT INTO t VALUES (1, 'x')")
                throw Mistake()
            }
        }
        #expect(try database.integer("SELECT count(*) FROM t") == 0)
        try database.transaction { () throws(SQLiteError) in try database.run("INSERT INTO t VALUES (1, 'x')") }
        #expect(try database.integer("SELECT count(*) FROM t") == 1)
    }

    @Test func `a reader cannot write, and a missing file is not made for it`() throws {
        #expect(throws: SQLiteError.self) { try Database(path: path, mode: .readOnly) }
        #expect(access(path, F_OK) != 0)
        _ = try made()
        let reader = try Database(path: path, mode: .readOnly)
        let error = try #require(throws: SQLiteError.self) { try reader.run("INSERT INTO t VALUES (9, 9)") }
        #expect(error.cannotOpen)
    }

    @Test func `an error says which kind it is`() throws {
        let database = try made()
        try database.run("INSERT INTO t VALUES (1, 'x')")
        let double = try #require(throws: SQLiteError.self) { try database.run("INSERT INTO t VALUES (1, 'y')") }
        #expect(double.isConstraint && double.description.contains("INSERT INTO t"))

        try database.execute("PRAGMA max_page_count = 4")
        let full = try #require(throws: SQLiteError.self) {
            try database.run("INSERT INTO t VALUES (2, zeroblob(1000000))")
        }
        #expect(full.isFull)

        try database.execute("BEGIN IMMEDIATE")
        let other = try Database(path: path, mode: .readWriteCreate, busyTimeout: 0)
        let busy = try #require(throws: SQLiteError.self) { try other.execute("BEGIN IMMEDIATE") }
        #expect(busy.isBusy)
    }

    @Test func `a file that is no database is told from one that cannot be opened`() throws {
        try folder.write("test.db", String(repeating: "no database ", count: 1000))
        let database = try Database(path: path, mode: .readWriteCreate)
        let damaged = try #require(throws: SQLiteError.self) { try database.integer("SELECT count(*) FROM t") }
        #expect(damaged.isCorrupt && !damaged.cannotOpen)
        let missing = try #require(throws: SQLiteError.self) {
            _ = try Database(path: folder.path + "/none/test.db", mode: .readWriteCreate)
        }
        #expect(missing.cannotOpen && !missing.isCorrupt)
    }
}
