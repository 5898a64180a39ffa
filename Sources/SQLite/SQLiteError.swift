import CSQLite
import Glibc

/// What SQLite said: its code, its words, and the statement.
package struct SQLiteError: Error, Equatable, CustomStringConvertible {
    /// The extended result code (sqlite.org/rescode.html).
    package let code: Int32
    package let message: String
    package let sql: String
    /// The errno of the system call that failed, 0 if none did (sqlite3_system_errno).
    package let systemCode: Int32

    package init(code: Int32, message: String, sql: String, systemCode: Int32 = 0) {
        self.code = code
        self.systemCode = systemCode
        self.message = message
        self.sql = sql
    }

    private var primary: Int32 { code & 0xff }

    /// The disk or a quota is full, or the database reached its own limit; nothing was changed. A file beside the
    /// database that finds no room (the -shm) is told as an error of the disk, with errno.
    package var isFull: Bool {
        primary == SQLITE_FULL || ((isInputOutput || cannotOpen) && !isSynchronization && hasNoRoom)
    }
    private var hasNoRoom: Bool { [ENOSPC, EDQUOT].contains(systemCode) }
    /// A failed fsync: what of the file is on the disk is unknown from then on, whatever its errno was, and a second
    /// one would say that all is well (SQLITE_IOERR_FSYNC and SQLITE_IOERR_DIR_FSYNC).
    private var isSynchronization: Bool { code == SQLITE_IOERR | 4 << 8 || code == SQLITE_IOERR | 5 << 8 }
    package var isBusy: Bool { primary == SQLITE_BUSY || primary == SQLITE_LOCKED }
    /// The file is damaged, or no database.
    package var isCorrupt: Bool { primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB }
    /// The statement does not fit the database: a table or column is missing.
    package var isSchema: Bool { primary == SQLITE_ERROR || primary == SQLITE_SCHEMA }
    package var isInputOutput: Bool { primary == SQLITE_IOERR }
    package var cannotOpen: Bool { primary == SQLITE_CANTOPEN || primary == SQLITE_PERM || primary == SQLITE_READONLY }
    package var isConstraint: Bool { primary == SQLITE_CONSTRAINT }

    package var description: String {
        let cause =
            systemCode == 0 ? "" : ", \(strerror(systemCode).map { String(cString: $0) } ?? "errno \(systemCode)")"
        let words = "SQLite \(code): \(message)\(cause)"
        // A message is one line.
        let statement = String(sql.prefix(200).map { $0.isNewline ? " " : $0 })
        return sql.isEmpty ? words : "\(words) (in: \(statement))"
    }
}
