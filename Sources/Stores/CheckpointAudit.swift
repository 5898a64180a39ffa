package import Agent
import Events
import SQLite

/// Everything that must hold of a checkpoint's file: SQLite's own check, the journal's invariants, and that every other
/// table says what the journal's fold says.
///
/// Read-only, of a live or a dead job; one read transaction, so that a live job's tables belong together.
package enum CheckpointAudit {
    /// - Returns: the violations in words; empty if there are none.
    /// - Throws: `StoreError`: it cannot be read at all.
    package static func violations(of path: String, job: String) throws(StoreError) -> [String] {
        let failure = { (error: SQLiteError) in SQLiteCheckpointStore.failure(error, path) }
        do throws(SQLiteError) {
            let database = try Database(reading: path)
            try database.execute("BEGIN")
            var found = try integrity(database)
            // What a damaged page says need not be true, or readable.
            guard found.isEmpty else { return found }
            let beyond = WriteAheadEnd.commitsBeyond(path)
            if beyond > 1 { found.append("-wal: \(beyond) commits lie beyond a frame that is not what was written") }
            if let owner = try database.text("SELECT job_id FROM meta"), owner != job {
                found.append("meta: it belongs to job \(owner)")
            }
            let version = try database.integer("SELECT schema_version FROM meta") ?? 0
            if version >= 2 { found += try outputs(database) }
            let events: [StoredEvent]
            do throws(StoreError) {
                events = try readEvents(database, after: 0, limit: -1, path: path)
            } catch {
                return found + [error.description]
            }
            found += Audit(events).violations
            found += try head(database, JobState(folding: events), events, version)
            found += try Projections(events).differences(database)
            if version >= 2 { found += try snapshots(database, events) }
            return found
        } catch {
            throw failure(error)
        }
    }

    private static func integrity(_ database: Database) throws(SQLiteError) -> [String] {
        let rows = try database.statement("PRAGMA integrity_check(20)")
        defer { rows.reset() }
        var found: [String] = []
        while try rows.step() {
            if let text = rows.text(0), text != "ok" { found.append("database: \(text)") }
        }
        return found
    }

    private static func outputs(_ database: Database) throws(SQLiteError) -> [String] {
        var found: [String] = []
        let rows = try database.statement("SELECT sha256, data FROM blob")
        defer { rows.reset() }
        while try rows.step() {
            let digest = rows.text(0) ?? ""
            if sha256(rows.text(1) ?? "") != digest { found.append("blob \(digest): its text is another") }
        }
        let lost = try database.statement(
            "SELECT seq FROM event WHERE blob IS NOT NULL AND blob NOT IN (SELECT sha256 FROM blob)")
        defer { lost.reset() }
        while try lost.step() { found.append("event \(lost.integer(0)): its output is gone") }
        return found
    }

    private static func snapshots(_ database: Database, _ events: [StoredEvent]) throws(SQLiteError) -> [String] {
        guard let state = try StateSnapshot.newest(in: database) else { return [] }
        let folded = JobState(folding: Array(events.prefix { $0.seq <= state.seq }))
        return state == folded ? [] : ["snapshot \(state.seq): it is not the fold of the journal"]
    }

    private static func head(
        _ database: Database, _ state: JobState, _ events: [StoredEvent], _ version: Int64
    ) throws(SQLiteError) -> [String] {
        let row = try database.statement("SELECT epoch, seq, status, phase, phase_no, turn, spent FROM head")
        defer { row.reset() }
        guard try row.step() else { return ["head: its row is gone"] }
        var found: [String] = []
        func compare(_ name: String, _ said: String, _ folded: String) {
            if said != folded { found.append("head: \(name) is \(said), the journal says \(folded)") }
        }
        // A process that has taken the job and not yet written its first event is ahead of the journal.
        if row.integer(0) < state.epoch { found.append("head: epoch \(row.integer(0)) is older than \(state.epoch)") }
        compare("seq", "\(row.integer(1))", "\(events.last?.seq ?? 0)")
        compare("status", row.text(2) ?? "", state.status.word)
        compare("phase", row.text(3) ?? "", state.phase.rawValue)
        compare("phase_no", "\(row.integer(4))", "\(state.phaseNumber)")
        compare("turn", "\(row.integer(5))", "\(state.spent.steps)")
        // Its members were others before version 4; the first commit after the migration writes it anew.
        if version >= 4 { compare("spent", row.text(6) ?? "", Projection.spent(state)) }
        return found
    }
}

/// The rows that the tables beside the journal must have.
private struct Projections {
    private var calls: [String: String] = [:]
    private var requests: [String: String] = [:]
    private var todos: [String: String] = [:]

    init(_ events: [StoredEvent]) {
        var open: String?
        for stored in events {
            switch stored.event {
            case .acquired:
                if let open { requests[open] = "lost" }
                open = nil
            case .llmIntent:
                if let open { requests[open] = "lost" }
                open = "\(stored.seq)"
                requests["\(stored.seq)"] = "intent"
            case .llmDone(let done):
                if let open { requests[open] = "done" }
                open = nil
                for call in done.calls { calls[call.id] = "intent" }
            case .llmFailed:
                if let open { requests[open] = "failed" }
                open = nil
            case .callStarted(let started): calls[started.call] = "started"
            case .callFinished(let finished): calls[finished.call] = finished.outcome.rawValue
            case .restored, .taskReceived, .commandReceived, .phaseChanged, .noted, .compacted, .verified,
                .statusChanged,
                .backgroundEnded:
                break
            }
        }
        for todo in JobState(folding: events).todos { todos[todo.id] = todo.status.rawValue }
    }

    func differences(_ database: Database) throws(SQLiteError) -> [String] {
        try Self.compare("call", "SELECT call_id, state FROM call", calls, database)
            + Self.compare("llm", "SELECT seq, state FROM llm", requests, database)
            + Self.compare("todo", "SELECT id, status FROM todo", todos, database)
    }

    private static func compare(
        _ table: String, _ query: String, _ folded: [String: String], _ database: Database
    ) throws(SQLiteError) -> [String] {
        let rows = try database.statement(query)
        defer { rows.reset() }
        var found: [String: String] = [:]
        while try rows.step() { found[rows.text(0) ?? ""] = rows.text(1) ?? "" }
        return Set(found.keys).union(folded.keys).sorted().compactMap { key in
            guard found[key] != folded[key] else { return nil }
            return "\(table) \(key): it says \(found[key] ?? "nothing"), the journal \(folded[key] ?? "nothing")"
        }
    }
}
