import Agent
import Events
import LinuxSystem
import SQLite
import SecretRedaction

/// The way of everything into the spool: redacted, bounded, then stored in one transaction with the journal's cursor.
///
/// What could not be stored waits in memory, bounded: then no journal event is read, and further lines are counted
/// and dropped.
struct Intake {
    private let journal: any JournalReader
    private var secrets: LoadedSecrets
    private(set) var projection = JournalProjection()
    private var waiting: [SpoolEntry] = []
    private var waitingBytes = 0
    /// The last event of the journal among them.
    private var waitingJournal: JournalCursor?
    private var dropped = 0
    /// How far the job had got by what the journal itself says of having been put back: nothing before needs a word.
    private var told = JournalPlace(epoch: 0, seq: 0)
    /// A process has taken the job over since this was last looked at.
    private var hasNewOwner = false

    private static let waitingLimit = 4 << 20
    private static let journalBatch = 100

    init(journal: any JournalReader, secrets: LoadedSecrets) {
        self.journal = journal
        self.secrets = secrets
    }

    var redactor: Redactor { secrets.redactor }

    /// Takes in secrets that have been exchanged.
    mutating func followSecrets() { secrets.refresh() }

    /// Folds what is in the spool already, so that records can say what calls were.
    ///
    /// A journal that ends before that, or has another event in its place, was put back from a backup: it is followed
    /// from the event on that says so, or from its end, and a record tells of it.
    /// - Throws: `StoreError`; it may be tried again.
    mutating func catchUp(with spool: Spool) throws(StoreError) {
        projection = JournalProjection()
        var last: StoredEvent?
        var restoration: Int64?
        var mark = ""
        while true {
            let events = try journal.events(after: last?.seq ?? 0, limit: Self.journalBatch)
            for event in events {
                if event.seq == spool.journal.seq { mark = event.mark }
                // It follows the acquisition of the process that put the backup in place.
                if case .restored(let body) = event.event {
                    restoration = event.seq - 2
                    note(body, of: event.epoch)
                }
                if event.seq <= spool.journal.seq { projection.fold(event) }
            }
            guard let end = events.last else { break }
            last = end
        }
        let shipped = spool.journal
        let isSame = shipped.seq == 0 || mark == shipped.mark || (shipped.mark.isEmpty && !mark.isEmpty)
        guard !isSame else { return }
        let goesOn = restoration ?? last?.seq ?? 0
        projection = JournalProjection()
        var folded: Int64 = 0
        while folded < goesOn {
            let wanted = min(Int64(Self.journalBatch), goesOn - folded)
            let events = try journal.events(after: folded, limit: Int(wanted))
            guard let end = events.last?.seq else { break }
            for event in events { projection.fold(event) }
            folded = end
        }
        var told = SpoolEntry.gateway(
            "event \(shipped.seq) was shipped, and the journal has another one or ends before it: it was put back from "
                + "a backup or a snapshot, and is followed from event \(goesOn + 1) on",
            name: "journal_rewound", severity: .warn)
        let cursor = JournalCursor(seq: goesOn, mark: "")
        told.journal = cursor
        waitingJournal = cursor
        add(told)
    }

    /// Whether the journal lacks an event that was published, and does not say so itself.
    ///
    /// - Throws: `StoreError` if the journal cannot be read.
    func lacks(_ cursor: JournalCursor) throws(StoreError) -> Bool {
        guard cursor.seq > 0, !cursor.mark.isEmpty, cursor.place > told else { return false }
        return try journal.events(after: cursor.seq - 1, limit: 1).first?.mark != cursor.mark
    }

    private mutating func note(_ restored: Event.Restored, of epoch: Int64) {
        told = max(told, JournalPlace(epoch: epoch, seq: 0), restored.beyond ?? told)
    }

    /// Whether a process has taken the job over since the last call.
    mutating func takeNewOwner() -> Bool {
        defer { hasNewOwner = false }
        return hasNewOwner
    }

    /// Adds records that are not of the journal, and have been read just now.
    mutating func add(_ entries: [SpoolEntry]) {
        guard !entries.isEmpty else { return }
        secrets.refresh()
        for entry in entries { keep(entry) }
    }

    mutating func add(_ entry: SpoolEntry) { add([entry]) }

    private mutating func keep(_ entry: SpoolEntry) {
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
        let events = try journal.events(after: spool.journal.seq, limit: Self.journalBatch)
        if !events.isEmpty { secrets.refresh() }
        for event in events {
            if case .acquired = event.event { hasNewOwner = true }
            if case .restored(let body) = event.event { note(body, of: event.epoch) }
            var entry = RecordBounds.bounded(redactor.redact(projection.entry(for: event)))
            entry.journal = JournalCursor(seq: event.seq, mark: event.mark)
            waiting.append(entry)
            waitingJournal = entry.journal
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
        let grew = (waitingJournal?.seq ?? 0) > spool.journal.seq
        do throws(SQLiteError) {
            try spool.commit(waiting)
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

extension StoredEvent {
    /// Tells it from an event of the same number in another history of the job.
    fileprivate var mark: String { "\(epoch):\(time):\(event.kind)" }
}
