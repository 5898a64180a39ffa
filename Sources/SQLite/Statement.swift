import CSQLite

/// A value that can be bound to a parameter. A Swift nil is NULL.
package protocol SQLiteValue {}
extension Int64: SQLiteValue {}
extension Int: SQLiteValue {}
extension Double: SQLiteValue {}
extension String: SQLiteValue {}
extension Bool: SQLiteValue {}
extension [UInt8]: SQLiteValue {}

/// A compiled statement. Belongs to its database and is used on the same thread.
package final class Statement {
    private let handle: OpaquePointer
    private let sql: String

    init(_ handle: OpaquePointer, sql: String) {
        self.handle = handle
        self.sql = sql
    }

    deinit { sqlite3_finalize(handle) }

    /// Ends the execution and forgets the bindings. A statement that is not reset holds its read transaction open.
    package func reset() {
        sqlite3_reset(handle)
        sqlite3_clear_bindings(handle)
    }

    /// Binds the parameters from the first on.
    ///
    /// - Throws: `SQLiteError`, for too many values or one that is too large.
    package func bind(_ values: [(any SQLiteValue)?]) throws(SQLiteError) {
        for (index, value) in values.enumerated() { try check(bind(value, at: Int32(index + 1))) }
    }

    private func bind(_ value: (any SQLiteValue)?, at index: Int32) -> Int32 {
        switch value {
        case let number as Int64: return sqlite3_bind_int64(handle, index, number)
        case let number as Int: return sqlite3_bind_int64(handle, index, Int64(number))
        case let flag as Bool: return sqlite3_bind_int64(handle, index, flag ? 1 : 0)
        case let number as Double: return sqlite3_bind_double(handle, index, number)
        case let text as String:
            var copy = text
            return copy.withUTF8 { bytes in
                guard let base = bytes.baseAddress else { return agent_sqlite_bind_text(handle, index, "", 0) }
                return base.withMemoryRebound(to: CChar.self, capacity: bytes.count) {
                    agent_sqlite_bind_text(handle, index, $0, Int32(clamping: bytes.count))
                }
            }
        case let bytes as [UInt8]:
            return bytes.isEmpty
                ? sqlite3_bind_zeroblob(handle, index, 0)
                : agent_sqlite_bind_blob(handle, index, bytes, Int32(clamping: bytes.count))
        default: return sqlite3_bind_null(handle, index)
        }
    }

    /// Goes to the next row; false at the end.
    ///
    /// - Throws: `SQLiteError`; the statement is reset then.
    package func step() throws(SQLiteError) -> Bool {
        let code = sqlite3_step(handle)
        switch code {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        default:
            let error = failure()
            sqlite3_reset(handle)
            throw error
        }
    }

    package func isNull(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }

    /// 0 if it is NULL.
    package func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

    /// 0 if it is NULL.
    package func double(_ column: Int32) -> Double { sqlite3_column_double(handle, column) }

    /// Nil if it is NULL.
    package func text(_ column: Int32) -> String? {
        // The length is asked for after the text: the conversion to UTF-8 may change it.
        guard let text = sqlite3_column_text(handle, column) else { return nil }
        let bytes = UnsafeBufferPointer(start: text, count: Int(sqlite3_column_bytes(handle, column)))
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Empty if it is NULL.
    package func bytes(_ column: Int32) -> [UInt8] {
        guard let blob = sqlite3_column_blob(handle, column) else { return [] }
        return Array(UnsafeRawBufferPointer(start: blob, count: Int(sqlite3_column_bytes(handle, column))))
    }

    /// The bytes of a text or blob where SQLite has them, none if it is NULL. They are valid within `body`; nothing may be
    /// asked of the statement there.
    package func withBytes<Result>(_ column: Int32, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        let bytes = sqlite3_column_blob(handle, column)
        return body(UnsafeRawBufferPointer(start: bytes, count: Int(sqlite3_column_bytes(handle, column))))
    }

    private func check(_ code: Int32) throws(SQLiteError) {
        if code != SQLITE_OK { throw failure() }
    }

    private func failure() -> SQLiteError {
        guard let database = sqlite3_db_handle(handle) else {
            return SQLiteError(code: SQLITE_MISUSE, message: "the statement has no database", sql: sql)
        }
        return SQLiteError(failing: database, sql: sql)
    }
}
