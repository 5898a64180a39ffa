import Agent
import Events
import LinuxSystem
import SQLite

/// The way of everything into the spool: redacted, bounded, then stored in one transaction with the journal's cursor.
///
/// What could not be stored waits in memory, bounded: then no journal event is read, and further lines are counted
/// and dropped.
struct Intake {
    private let journal: any JournalReader
    private let redactor: Redactor
    private(set) var projection = JournalProjection()
    private var waiting: [SpoolEntry] = []
    private var waitingBytes = 0
    private var waitingJournal: Int64?
    private var dropped = 0

    private static let waitingLimit = 4 << 20
    private static let journalBatch = 100

    init(journal: any JournalReader, redactor: Redactor) {
        self.journal = journal
        self.redactor = redactor
    }

    /// Folds what is in the spool already, so that records can say what calls were.
    ///
    /// A journal that ends before that was put back from a backup: it is followed from its end on, and a record says
    /// so.
    /// - Throws: `StoreError`.
    mutating func catchUp(with spool: Spool) throws(StoreError) {
        var last: Int64 = 0
        while last < spool.journal {
            let wanted = min(Int64(Self.journalBatch), spool.journal - last)
            let events = try journal.events(after: last, limit: Int(wanted))
            guard let end = events.last?.seq else { break }
            for event in events { projection.fold(event) }
            last = end
        }
        guard last < spool.journal else { return }
        waitingJournal = last
        add(
            .gateway(
                "the journal ends at event \(last), but event \(spool.journal) was shipped: it was put back from a backup",
                name: "journal_rewound", severity: .warn))
    }

    /// Adds a record that is not of the journal.
    mutating func add(_ entry: SpoolEntry) {
        let ready = RecordBounds.bounded(redactor.redact(entry))
        let size = ready.record.body.utf8.count + 256
        guard waitingBytes + size <= Self.waitingLimit else {
            dropped += 1
            return
        }
        waiting.append(ready)
        waitingBytes += size
    }

    /// The last-gasp records among what waits.
    var waitingGasps: Set<String> { Set(waiting.compactMap(\.gasp)) }

    /// Reads the next events of the journal, unless earlier ones are still to be stored.
    ///
    /// - Returns: whether there may be more.
    /// - Throws: `StoreError`; it may be tried again.
    mutating func readJournal(_ spool: Spool) throws(StoreError) -> Bool {
        guard waitingJournal == nil else { return false }
        let events = try journal.events(after: spool.journal, limit: Self.journalBatch)
        for event in events {
            waiting.append(RecordBounds.bounded(redactor.redact(projection.entry(for: event))))
            waitingJournal = event.seq
        }
        return events.count == Self.journalBatch
    }

    /// Stores what waits, and what else has changed in the spool.
    ///
    /// - Returns: whether the journal grew.
    /// - Throws: `SQLiteError`; it may be tried again.
    mutating func store(_ spool: Spool) throws(SQLiteError) -> Bool {
        if dropped > 0 {
            waiting.append(.gateway("\(dropped) lines were dropped: the spool could not store them", severity: .warn))
        }
        let grew = (waitingJournal ?? 0) > spool.journal
        do throws(SQLiteError) {
            try spool.commit(waiting, journal: waitingJournal)
        } catch {
            if dropped > 0 { waiting.removeLast() }
            throw error
        }
        waiting.removeAll(keepingCapacity: true)
        (waitingBytes, waitingJournal, dropped) = (0, nil, 0)
        return grew
    }
}

extension SpoolEntry {
    /// The gateway's own message.
    static func gateway(
        _ body: String, name: String? = nil, severity: LogRecord.Severity = .info
    ) -> SpoolEntry {
        SpoolEntry(
            LogRecord(
                time: Clock.wall, severity: severity, stream: .gateway, body: body,
                attributes: name.map { ["event.name": .string($0)] } ?? [:]))
    }
}
