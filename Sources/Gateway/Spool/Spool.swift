import Contracts
package import Events
import LinuxSystem
package import SQLite

/// A record on its way into the spool, already redacted.
package struct SpoolEntry: Equatable, Sendable {
    package var record: LogRecord
    /// The type and data of the CloudEvent that belongs to it.
    package var event: EventDraft?
    /// The name of the last-gasp record that it was made of: it enters the spool once.
    package var gasp: String?
    /// The event of the journal that the spool has come to with it; nil if it is not of the journal.
    package var journal: JournalCursor?

    package init(
        _ record: LogRecord, event: EventDraft? = nil, gasp: String? = nil, journal: JournalCursor? = nil
    ) {
        self.record = record
        self.event = event
        self.gasp = gasp
        self.journal = journal
    }
}

/// A CloudEvent that has no number yet.
package struct EventDraft: Equatable, Sendable {
    package var type: String
    package var data: JSON

    package init(_ type: String, _ data: JSON) {
        self.type = type
        self.data = data
    }
}

/// The gateway's queue on disk: every record gets its number here and stays until all sinks have taken it.
///
/// Bounded by bytes: when it is full the oldest records go, and a sink that has not taken them is given one gap record
/// in their place. One transaction, on the disk when it returns, holds the records of journal events together with
/// the journal's cursor: each event enters exactly once, whenever the process is killed. Used from one thread.
package final class Spool {
    private let database: Database
    private let job: String
    private let limit: Int64
    private let tail: Int64
    /// Where a damaged predecessor lies, if there was one at `init`.
    package let setAside: String?
    /// Random; tells this spool from a lost one of the same job.
    package let incarnation: String
    /// The number of the next record, from 1.
    package private(set) var nextSeq: Int64
    /// The last journal event that is in the spool.
    package private(set) var journal: JournalCursor
    /// Bytes that the records take, without SQLite's own.
    package private(set) var bytes: Int64
    private var droppedTo: Int64
    private var droppedAt: Int64
    private var cursors: [String: Int64] = [:]
    private var gasps: Set<String> = []
    private var isDirty = false

    /// What a row takes beside its text, roughly.
    private static let rowOverhead = 32

    /// Opens the spool of a job or makes a new one.
    ///
    /// - Parameters:
    ///   - path: the file; its folder must exist.
    ///   - job: the job's name, for the wire form.
    ///   - limit: bytes of records that are kept at most.
    ///   - tail: how many records are kept for later readers after all sinks have taken them.
    ///   - sinks: the names of those that are delivered to; the records of others are not kept for them.
    /// - Throws: `GatewayError`: `configuration` if the folder is missing or not writable.
    package init(path: String, job: String, limit: Int64, tail: Int64 = 10_000, sinks: [String]) throws(GatewayError) {
        (database, setAside) = try SpoolSchema.open(path)
        self.job = job
        self.limit = limit
        self.tail = tail
        do throws(SQLiteError) {
            let row = try database.statement(
                "SELECT incarnation, next_seq, journal, bytes, dropped_to, dropped_at, journal_mark FROM spool")
            guard try row.step() else {
                throw SQLiteError(code: 11, message: "the spool has lost its head row", sql: "")
            }
            incarnation = row.text(0) ?? ""
            (nextSeq, bytes) = (row.integer(1), row.integer(3))
            (droppedTo, droppedAt) = (row.integer(4), row.integer(5))
            journal = JournalCursor(seq: row.integer(2), mark: row.text(6) ?? "")
            row.reset()
            let names = try database.statement("SELECT name FROM gasp")
            while try names.step() { gasps.insert(names.text(0) ?? "") }
            names.reset()
            for name in sinks {
                cursors[name] = try database.integer("SELECT seq FROM sink WHERE name = ?", name) ?? 0
            }
        } catch {
            throw GatewayError(.checkpointUnusable, "the spool \(path) cannot be read: \(error)")
        }
    }

    /// Whether nothing was ever numbered.
    package var isNew: Bool { nextSeq == 1 }

    /// Goes on after what a sink holds of this job from an earlier spool. Only for a new spool.
    package func goOn(after held: Holding) {
        precondition(isNew, "numbers are given once")
        nextSeq = held.seq + 1
        if let journal = held.journal { self.journal = journal }
        for name in cursors.keys { cursors[name] = held.seq }
        isDirty = true
    }

    /// Stores the entries in order, with all that has changed since the last commit.
    ///
    /// - Throws: `SQLiteError`; nothing is changed then, and the same may be tried again.
    package func commit(_ entries: [SpoolEntry]) throws(SQLiteError) {
        guard isDirty || !entries.isEmpty else { return }
        var next = (seq: nextSeq, bytes: bytes, droppedTo: droppedTo, droppedAt: droppedAt, journal: journal)
        try database.transaction { () throws(SQLiteError) in
            for entry in entries {
                let record = entry.record.json(job: job, seq: next.seq).text
                let event = entry.event.map {
                    CloudEvent(seq: next.seq, type: $0.type, time: entry.record.time, data: $0.data).json(job: job).text
                }
                if let gasp = entry.gasp { try database.run("INSERT INTO gasp VALUES (?)", gasp) }
                let size = record.utf8.count + (event?.utf8.count ?? 0) + Self.rowOverhead
                if let journal = entry.journal { next.journal = journal }
                try database.run(
                    "INSERT INTO record VALUES (?, ?, ?, ?, ?)", next.seq, record, event, size, next.journal.text)
                next.seq += 1
                next.bytes += Int64(size)
            }
            next.bytes -= try trimTaken(newest: next.seq - 1)
            if next.bytes > limit,
                let dropped = try dropOldest(excess: next.bytes - limit * 9 / 10, newest: next.seq - 1)
            {
                next.bytes -= dropped.bytes
                next.droppedTo = dropped.to
                next.droppedAt = Clock.wall
            }
            for (name, seq) in cursors {
                try database.run("INSERT OR REPLACE INTO sink VALUES (?, ?)", name, seq)
            }
            try database.run(
                "UPDATE spool SET next_seq = ?, journal = ?, bytes = ?, dropped_to = ?, dropped_at = ?, journal_mark = ?",
                next.seq, next.journal.seq, next.bytes, next.droppedTo, next.droppedAt, next.journal.mark)
        }
        (nextSeq, bytes, droppedTo, droppedAt, journal) = next
        gasps.formUnion(entries.compactMap(\.gasp))
        isDirty = false
    }

    /// Whether the last-gasp record of this name is in the spool.
    package func holds(gasp name: String) -> Bool { gasps.contains(name) }

    /// Forgets a last-gasp record whose file has gone.
    ///
    /// - Throws: `SQLiteError`.
    package func forget(gasp name: String) throws(SQLiteError) {
        try database.run("DELETE FROM gasp WHERE name = ?", name)
        gasps.remove(name)
    }

    /// The last record that a sink has taken, 0 if none.
    package func cursor(of sink: String) -> Int64 { cursors[sink] ?? 0 }

    /// A sink has taken all up to `seq`. It is on the disk after the next `commit`; a sink may be given a record again
    /// after a crash, never be passed over.
    package func advance(_ sink: String, to seq: Int64) {
        guard seq > cursor(of: sink), seq < nextSeq else { return }
        cursors[sink] = seq
        isDirty = true
    }

    /// The records after `seq`, in order: at most `count`, and no more once `bytes` are reached.
    ///
    /// - Throws: `SQLiteError`.
    package func deliveries(after seq: Int64, count: Int, bytes: Int) throws(SQLiteError) -> [Delivery] {
        let rows = try database.statement(
            "SELECT seq, record, event, journal FROM record WHERE seq > ? ORDER BY seq LIMIT ?")
        try rows.bind([seq, count])
        defer { rows.reset() }
        var result: [Delivery] = []
        var size = 0
        while size < bytes, try rows.step() {
            let delivery = Delivery(
                seq: rows.integer(0), record: rows.text(1) ?? "", event: rows.text(2),
                journal: rows.text(3).flatMap(JournalCursor.init))
            if result.isEmpty, delivery.seq > seq + 1 { result.append(gap(from: seq + 1, to: delivery.seq - 1)) }
            size += delivery.record.utf8.count + (delivery.event?.utf8.count ?? 0)
            result.append(delivery)
        }
        return result
    }

    private func gap(from: Int64, to: Int64) -> Delivery {
        let reason =
            from <= droppedTo
            ? "the spool was full (AGENT_SPOOL_MAX_BYTES)" : "they were no longer kept when this sink was added"
        let record = LogRecord(
            time: droppedAt, severity: .warn, stream: .gateway, body: "records \(from) to \(to) are lost: \(reason)",
            attributes: [
                "event.name": "gap", "gap.from": .int(from), "gap.to": .int(to), "gap.reason": .string(reason),
            ])
        return Delivery(seq: to, record: record.json(job: job, seq: to).text)
    }

    /// Deletes what every sink has taken but for the tail; returns the bytes that went.
    private func trimTaken(newest: Int64) throws(SQLiteError) -> Int64 {
        let end = min(cursors.values.min() ?? newest, newest - tail)
        // In strokes: one row at a time would cost a search of the tree for each record.
        guard let oldest = try database.integer("SELECT min(seq) FROM record"), end - oldest >= 500 else { return 0 }
        return try delete(through: end)
    }

    private func dropOldest(excess: Int64, newest: Int64) throws(SQLiteError) -> (bytes: Int64, to: Int64)? {
        let rows = try database.statement("SELECT seq, bytes FROM record WHERE seq < ? ORDER BY seq")
        try rows.bind([newest])
        var (size, end): (Int64, Int64) = (0, 0)
        while size < excess, try rows.step() { (size, end) = (size + rows.integer(1), rows.integer(0)) }
        rows.reset()
        guard end > 0 else { return nil }
        return (try delete(through: end), end)
    }

    private func delete(through end: Int64) throws(SQLiteError) -> Int64 {
        let size = try database.integer("SELECT sum(bytes) FROM record WHERE seq <= ?", end) ?? 0
        try database.run("DELETE FROM record WHERE seq <= ?", end)
        return size
    }
}
