import CSQLite
import Glibc

/// One connection to a SQLite file.
///
/// For one thread at a time. A file is opened at most once in a process: closing a second descriptor of it would drop
/// the POSIX locks of the first (sqlite.org/howtocorrupt.html, 2.2).
package final class Database {
    package enum Mode: Sendable {
        case readWriteCreate
        /// A reader takes no lock longer than a statement. In WAL mode it needs the -shm file or the right to make it.
        case readOnly
        /// A file that nobody writes to: no lock is taken and no file made beside it.
        case unchanging
    }

    private let handle: OpaquePointer
    private var cached: [String: Statement] = [:]

    /// Opens the file for reading, whoever writes to it or has written.
    ///
    /// A reader of a WAL database makes the -shm file if it is missing, which it cannot on a read-only volume. Without a
    /// -wal all is in the file itself, and there nobody can write: it is then read as what does not change
    /// (sqlite.org/wal.html, "Read-Only Databases").
    /// - Throws: `SQLiteError`; `cannotOpen` if there is no such file or no permission.
    package convenience init(reading path: String) throws(SQLiteError) {
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let isAtRest = access(path + "-wal", F_OK) != 0 && access(folder, W_OK) != 0
        try self.init(path: path, mode: isAtRest ? .unchanging : .readOnly)
    }

    /// Opens the file; a statement waits up to `busyTimeout` milliseconds for a lock.
    ///
    /// - Throws: `SQLiteError`; `cannotOpen` if there is no such file (read-only) or no permission.
    package init(path: String, mode: Mode, busyTimeout: Int32 = 5000) throws(SQLiteError) {
        let flags =
            switch mode {
            case .readWriteCreate: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
            case .readOnly: SQLITE_OPEN_READONLY
            case .unchanging: SQLITE_OPEN_READONLY | SQLITE_OPEN_URI
            }
        var opened: OpaquePointer?
        // NOMUTEX: one thread uses it. EXRESCODE: an error says what exactly failed.
        let name = mode == .unchanging ? "file:\(Self.escaped(path))?immutable=1" : path
        let code = sqlite3_open_v2(name, &opened, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil)
        guard code == SQLITE_OK, let opened else {
            let message = opened.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
            let systemCode = opened.map { sqlite3_system_errno($0) } ?? 0
            sqlite3_close_v2(opened)
            throw SQLiteError(code: code, message: "\(message): \(path)", sql: "", systemCode: systemCode)
        }
        handle = opened
        sqlite3_busy_timeout(handle, busyTimeout)
    }

    /// The path as a URI has it: what could mean something else there as %XX (sqlite.org/uri.html).
    private static func escaped(_ path: String) -> String {
        path.utf8.reduce(into: "") { result, byte in
            let isPlain =
                byte == UInt8(ascii: "/") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
            let digits = String(byte, radix: 16, uppercase: true)
            result += isPlain ? String(UnicodeScalar(byte)) : "%" + (digits.count < 2 ? "0" : "") + digits
        }
    }

    /// Leaves the -wal as it is when this connection closes, for the next one to recover: after an error of the disk
    /// nothing more is written to it or synced.
    package func abandon() { agent_sqlite_keep_wal_at_close(handle) }

    deinit {
        // close_v2 waits for the statements, whose deinit may come after ours.
        sqlite3_close_v2(handle)
    }

    /// Runs one or more statements without parameters or results.
    ///
    /// - Throws: `SQLiteError`.
    package func execute(_ sql: String) throws(SQLiteError) {
        guard sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK else { throw lastError(sql) }
    }

    /// A statement to bind and step, compiled at its first use and kept; reset and without bindings.
    ///
    /// - Throws: `SQLiteError`.
    package func statement(_ sql: String) throws(SQLiteError) -> Statement {
        if let kept = cached[sql] {
            kept.reset()
            return kept
        }
        var compiled: OpaquePointer?
        let code = sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &compiled, nil)
        guard code == SQLITE_OK, let compiled else { throw lastError(sql) }
        let statement = Statement(compiled, sql: sql)
        cached[sql] = statement
        return statement
    }

    /// Runs a statement that gives no rows.
    ///
    /// - Throws: `SQLiteError`.
    package func run(_ sql: String, _ values: (any SQLiteValue)?...) throws(SQLiteError) {
        let statement = try statement(sql)
        try statement.bind(values)
        while try statement.step() {}
        statement.reset()
    }

    /// The first column of the first row, nil if there is no row or it is NULL.
    ///
    /// - Throws: `SQLiteError`.
    package func integer(_ sql: String, _ values: (any SQLiteValue)?...) throws(SQLiteError) -> Int64? {
        let statement = try statement(sql)
        try statement.bind(values)
        defer { statement.reset() }
        return try statement.step() ? statement.integer(0) : nil
    }

    /// The first column of the first row, nil if there is no row or it is NULL.
    ///
    /// - Throws: `SQLiteError`.
    package func text(_ sql: String, _ values: (any SQLiteValue)?...) throws(SQLiteError) -> String? {
        let statement = try statement(sql)
        try statement.bind(values)
        defer { statement.reset() }
        return try statement.step() ? statement.text(0) : nil
    }

    /// Runs `body` in one write transaction, begun at once so that no later statement can lose a race for the lock.
    ///
    /// - Throws: what `body` throws, after a rollback, or the `SQLiteError` of BEGIN or COMMIT.
    package func transaction<Failure: Error>(
        mapping: (SQLiteError) -> Failure, _ body: () throws(Failure) -> Void
    ) throws(Failure) {
        try transaction("BEGIN IMMEDIATE", mapping, body)
    }

    /// Runs `body`, which only reads: all that it reads is of one moment, whoever writes meanwhile.
    ///
    /// - Throws: as `transaction`.
    package func reading<Failure: Error>(
        mapping: (SQLiteError) -> Failure, _ body: () throws(Failure) -> Void
    ) throws(Failure) {
        try transaction("BEGIN", mapping, body)
    }

    private func transaction<Failure: Error>(
        _ begin: String, _ mapping: (SQLiteError) -> Failure, _ body: () throws(Failure) -> Void
    ) throws(Failure) {
        try step(begin, mapping)
        do throws(Failure) {
            try body()
            try step("COMMIT", mapping)
        } catch {
            // After SQLITE_FULL, IOERR and a few others SQLite has rolled back already; then this one fails, rightly.
            if sqlite3_get_autocommit(handle) == 0 { _ = sqlite3_exec(handle, "ROLLBACK", nil, nil, nil) }
            throw error
        }
    }

    /// Rows that the last INSERT, UPDATE or DELETE changed.
    package var changes: Int { Int(sqlite3_changes(handle)) }

    private func step<Failure: Error>(_ sql: String, _ mapping: (SQLiteError) -> Failure) throws(Failure) {
        do throws(SQLiteError) {
            try execute(sql)
        } catch {
            throw mapping(error)
        }
    }

    private func lastError(_ sql: String) -> SQLiteError {
        SQLiteError(failing: handle, sql: sql)
    }
}

extension SQLiteError {
    /// The error of the connection's last call.
    init(failing handle: OpaquePointer, sql: String) {
        let code = sqlite3_extended_errcode(handle)
        // It is kept from the last call that failed in the system, which need not be this one.
        let isOfSystem = [SQLITE_IOERR, SQLITE_CANTOPEN, SQLITE_FULL].contains(code & 0xff)
        self.init(
            code: code, message: String(cString: sqlite3_errmsg(handle)), sql: sql,
            systemCode: isOfSystem ? sqlite3_system_errno(handle) : 0)
    }
}

extension Database {
    /// `transaction` whose only errors are SQLite's.
    ///
    /// - Throws: `SQLiteError`, after a rollback.
    package func transaction(_ body: () throws(SQLiteError) -> Void) throws(SQLiteError) {
        try transaction(mapping: { $0 }, body)
    }
}
