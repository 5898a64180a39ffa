/// The checkpoint's tables, version 4 (docs/CHECKPOINT_FORMAT.md).
///
/// `event` is the job; all other tables are what its fold says, kept in the same transactions so that other programs
/// can read a job's state with a plain SELECT.
enum Schema {
    static let version: Int64 = 4

    /// Before the first table: a page size cannot be changed in WAL mode. 8 KiB is the smallest file for our rows
    /// (5.1 MB against 8.2 MB for 2,000 steps, measured).
    static let creation = """
        PRAGMA page_size = 8192;
        PRAGMA journal_mode = WAL;
        """

    /// For each connection that writes. FULL: NORMAL may lose commits at a power loss (sqlite.org/pragma.html).
    static let connection = """
        PRAGMA synchronous = FULL;
        PRAGMA journal_size_limit = 67108864;
        PRAGMA trusted_schema = OFF;
        """

    static let tables = """
        CREATE TABLE meta (
            id INTEGER PRIMARY KEY CHECK (id = 1), schema_version INTEGER NOT NULL, job_id TEXT NOT NULL
        ) STRICT;
        CREATE TABLE head (
            id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL, seq INTEGER NOT NULL, status TEXT NOT NULL,
            phase TEXT NOT NULL, phase_no INTEGER NOT NULL, turn INTEGER NOT NULL, spent TEXT NOT NULL
        ) STRICT;
        CREATE TABLE event (
            seq INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, ts INTEGER NOT NULL, kind TEXT NOT NULL,
            schema_v INTEGER NOT NULL, body TEXT NOT NULL
        ) STRICT;
        CREATE TABLE llm (
            seq INTEGER PRIMARY KEY, turn INTEGER NOT NULL, attempt INTEGER NOT NULL, hold INTEGER NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('intent', 'done', 'failed', 'lost')), input_tokens INTEGER,
            output_tokens INTEGER, cost REAL, request_id TEXT
        ) STRICT;
        CREATE TABLE call (
            call_id TEXT PRIMARY KEY, turn INTEGER NOT NULL, ord INTEGER NOT NULL, tool TEXT NOT NULL,
            args TEXT NOT NULL, idem INTEGER NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('intent', 'started', 'done', 'failed', 'interrupted', 'refused')),
            attempt INTEGER NOT NULL, result_seq INTEGER
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE todo (
            id TEXT PRIMARY KEY, ord INTEGER NOT NULL, title TEXT NOT NULL, acceptance TEXT NOT NULL, check_command TEXT,
            status TEXT NOT NULL, evidence TEXT, attempts INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        """

    /// What leads from the version before to this one; a new database goes all the way from version 1, so that every
    /// one of a version has the same tables.
    static let migrations: [Int64: String] = [
        2: """
        CREATE TABLE snapshot (
            seq INTEGER PRIMARY KEY, state_v INTEGER NOT NULL, body TEXT NOT NULL, sha256 TEXT NOT NULL
        ) STRICT;
        CREATE TABLE blob (sha256 TEXT PRIMARY KEY, data TEXT NOT NULL) STRICT;
        ALTER TABLE event ADD COLUMN blob TEXT REFERENCES blob(sha256);
        CREATE INDEX llm_open ON llm(seq) WHERE state = 'intent';
        """,
        // The kind `compacted`, which an older program does not know and must not take for damage; a digest of each event.
        3: "ALTER TABLE event ADD COLUMN digest BLOB",
        // The tables stay: bodies have members and words that an older program does not know.
        4: "",
    ]
}
