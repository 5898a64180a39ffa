import Contracts
import Glibc
import LinuxSystem
import SQLite

/// The spool's file: its tables, and how it is opened, checked and, if it is damaged, set aside.
enum SpoolSchema {
    private static let version: Int64 = 3
    private static let tables = """
        CREATE TABLE spool(
            one INTEGER PRIMARY KEY CHECK (one = 1),
            incarnation TEXT NOT NULL,     -- random; tells this spool from a lost one of the same job
            next_seq INTEGER NOT NULL,     -- the number of the next record
            journal INTEGER NOT NULL,      -- the last journal event that is in the spool
            bytes INTEGER NOT NULL,        -- sum of record.bytes
            dropped_to INTEGER NOT NULL,   -- the last record that went because the spool was full
            dropped_at INTEGER NOT NULL    -- when, in milliseconds since 1970
        ) STRICT;
        CREATE TABLE record(
            seq INTEGER PRIMARY KEY, record TEXT NOT NULL, event TEXT, bytes INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE sink(name TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT;
        """
    /// Since version 2: the names of the last-gasp records that are in the spool and whose files may be there still; and
    /// which event the cursor stands for, to be known again in another journal.
    private static let gasps = """
        CREATE TABLE gasp(name TEXT PRIMARY KEY) STRICT;
        ALTER TABLE spool ADD COLUMN journal_mark TEXT NOT NULL DEFAULT '';
        """
    /// Since version 3: how far the journal is in the records up to this one, for a spool that comes after this one is lost.
    private static let cursors = "ALTER TABLE record ADD COLUMN journal TEXT"

    /// Opens the spool, or makes a new one.
    ///
    /// - Returns: the connection, and where a damaged file was put, if there was one.
    /// - Throws: `GatewayError`.
    static func open(_ path: String) throws(GatewayError) -> (Database, setAside: String?) {
        do throws(SQLiteError) {
            return (try prepared(path), nil)
        } catch {
            guard error.isCorrupt else { throw failure(error, path) }
            let aside = try setAside(path)
            do throws(SQLiteError) {
                return (try prepared(path), aside)
            } catch {
                throw failure(error, path)
            }
        }
    }

    private static func prepared(_ path: String) throws(SQLiteError) -> Database {
        // Made here so that nobody else may read it: SQLite would take the mode from the umask. The -wal and -shm
        // files get the mode of the database. A command can have taken it away, for it runs under the same user.
        for suffix in ["", "-wal", "-shm"] { _ = chmod(path + suffix, 0o600) }
        let file = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        if file >= 0 { close(file) }
        let database = try Database(path: path, mode: .readWriteCreate)
        try database.execute(
            """
            PRAGMA page_size = 8192;
            PRAGMA journal_mode = WAL;
            PRAGMA synchronous = FULL;
            PRAGMA journal_size_limit = 8388608;
            """)
        let found = try database.integer("PRAGMA user_version") ?? 0
        guard found <= version else {
            throw SQLiteError(
                code: -1, message: "version \(found) is newer than this program's \(version)", sql: "")
        }
        if found == 0 {
            try database.transaction { () throws(SQLiteError) in
                try database.execute(tables)
                try database.run(
                    "INSERT INTO spool (one, incarnation, next_seq, journal, bytes, dropped_to, dropped_at) "
                        + "VALUES (1, ?, 1, 0, 0, 0, 0)",
                    String(UInt64.random(in: .min ... .max), radix: 16))
                try database.execute(gasps)
                try database.execute(cursors)
                try database.execute("PRAGMA user_version = \(version)")
            }
            return database
        }
        if let problem = try database.text("PRAGMA quick_check(1)"), problem != "ok" {
            throw SQLiteError(code: 11, message: problem, sql: "PRAGMA quick_check(1)")
        }
        if found < version {
            try database.transaction { () throws(SQLiteError) in
                if found < 2 { try database.execute(gasps) }
                try database.execute(cursors)
                try database.execute("PRAGMA user_version = \(version)")
            }
        }
        return database
    }

    /// Renames the file and what belongs to it; they are kept for a look, not deleted.
    private static func setAside(_ path: String) throws(GatewayError) -> String {
        let aside = "\(path).damaged-\(Clock.wall)"
        for suffix in ["", "-wal", "-shm"] where rename(path + suffix, aside + suffix) != 0 && errno != ENOENT {
            throw GatewayError(
                .checkpointUnusable,
                "the damaged spool \(path) cannot be set aside (\(SystemError.last("rename"))); move it away by hand")
        }
        return aside
    }

    private static func failure(_ error: SQLiteError, _ path: String) -> GatewayError {
        let isOfStorage = SystemError("open", code: error.systemCode).isStorageFailure || isReadOnlyFileSystem(path)
        if error.cannotOpen, !isOfStorage {
            return GatewayError(
                .configuration,
                "AGENT_CHECKPOINT_DIR: the spool \(path) cannot be written (\(error)); the folder must exist and be "
                    + "writable for UID \(getuid())")
        }
        if error.isFull || error.isInputOutput || error.cannotOpen {
            return GatewayError(
                .tryAgain,
                "the spool \(path) cannot be written (\(error)); make room on its volume or mend it, and start again")
        }
        return GatewayError(.checkpointUnusable, "the spool \(path) cannot be used: \(error)")
    }
}
