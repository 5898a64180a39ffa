import Events
import LinuxSystem
import SQLite

/// What the pipeline knows of one sink: whether it is at work, when to try again, and what was said about it.
struct SinkFeed {
    let worker: SinkWorker
    private var isBusy = true
    private var retryAt: Int64 = 0
    private var delay: Int64 = 0
    /// Since when it fails, if that was said.
    private var failingSince: Int64?
    private var nextNote: Int64 = 0
    /// What it held at its start, once it has said so.
    private(set) var start: SinkWorker.Report?
    /// What it holds of the job, when it could be asked only later; to be taken by the pipeline.
    private var late: Holding?

    private static let batchCount = 500
    private static let batchBytes = 1 << 20
    private static let longestDelay: Int64 = 2000
    private static let noteInterval: Int64 = 60_000

    init(_ worker: SinkWorker) { self.worker = worker }

    /// When `feed` has something to do by itself.
    var wakeAt: Int64? { !isBusy && retryAt > 0 ? retryAt : nil }

    /// Takes the worker's report in; returns something to be logged.
    mutating func settle(_ spool: Spool) -> LogRecord? {
        var note: LogRecord?
        while let report = worker.takeReport() {
            switch report {
            case .ready:
                start = report
                isBusy = false
            case .unusable:
                start = report
            case .holds(let held):
                late = held
            case .taken(let seq):
                isBusy = false
                let isProgress = seq > spool.cursor(of: worker.name)
                spool.advance(worker.name, to: seq)
                if isProgress {
                    (delay, retryAt) = (0, 0)
                    note = recovered() ?? note
                } else {
                    backOff()
                }
            case .failed(let error):
                isBusy = false
                backOff()
                note = failed(error) ?? note
            }
        }
        return note
    }

    mutating func takeLate() -> Holding? {
        defer { late = nil }
        return late
    }

    private mutating func backOff() {
        delay = min(Self.longestDelay, max(100, delay * 2))
        retryAt = Clock.monotonic + delay
    }

    private mutating func failed(_ error: SinkError) -> LogRecord? {
        let now = Clock.monotonic
        guard now >= nextNote else { return nil }
        if failingSince == nil { failingSince = now }
        nextNote = now + Self.noteInterval
        return LogRecord(
            time: Clock.wall, severity: .warn, stream: .gateway,
            body: "\(worker.name) takes no records: \(error); they are kept in the spool",
            attributes: ["event.name": "sink_failed", "sink": .string(worker.name)])
    }

    private mutating func recovered() -> LogRecord? {
        guard let since = failingSince else { return nil }
        failingSince = nil
        let seconds = (Clock.monotonic - since) / 1000
        return LogRecord(
            time: Clock.wall, stream: .gateway, body: "\(worker.name) takes records again after \(seconds) s",
            attributes: ["event.name": "sink_recovered", "sink": .string(worker.name)])
    }

    /// Gives the worker the next batch, if it is free and there is one.
    mutating func feed(_ spool: Spool) throws(SQLiteError) {
        guard !isBusy, Clock.monotonic >= retryAt, spool.cursor(of: worker.name) < spool.nextSeq - 1 else { return }
        let batch = try spool.deliveries(
            after: spool.cursor(of: worker.name), count: Self.batchCount, bytes: Self.batchBytes)
        guard !batch.isEmpty else { return }
        isBusy = true
        worker.give(batch)
    }
}
