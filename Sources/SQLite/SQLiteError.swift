import CSQLite

/// What SQLite said: its code, its words, and the statement.
package struct SQLiteError: Error, Equatable, CustomStringConvertible {
    /// The extended result code (sqlite.org/rescode.html).
    package let code: Int32
    package let message: String
    package let sql: String

    package init(code: Int32, message: String, sql: String) {
        self.code = code
        self.message = message
        self.sql = sql
    }

    private var primary: Int32 { code & 0xff }

    /// The disk or a quota is full, or the database reached its own limit.
    package var isFull: Bool { primary == SQLITE_FULL }
    package var isBusy: Bool { primary == SQLITE_BUSY || primary == SQLITE_LOCKED }
    /// The file is damaged, or no database.
    package var isCorrupt: Bool { primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB }
    /// The statement does not fit the database: a table or column is missing.
    package var isSchema: Bool { primary == SQLITE_ERROR || primary == SQLITE_SCHEMA }
    package var isInputOutput: Bool { primary == SQLITE_IOERR }
    package var cannotOpen: Bool { primary == SQLITE_CANTOPEN || primary == SQLITE_PERM || primary == SQLITE_READONLY }
    package var isConstraint: Bool { primary == SQLITE_CONSTRAINT }

    package var description: String {
        sql.isEmpty ? "SQLite \(code): \(message)" : "SQLite \(code): \(message) (in: \(sql.prefix(200)))"
    }
}
