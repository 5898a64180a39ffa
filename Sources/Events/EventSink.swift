/// A record as it lies in the spool: redacted, numbered, in its wire form.
package struct Delivery: Equatable, Sendable {
    /// Its number in the job, from 1. Deliveries are consecutive; where records are gone for good, one gap record
    /// stands for all of them (`event.name` "gap", with `gap.from`, `gap.to`, `gap.reason`) and has the last one's.
    package let seq: Int64
    /// The log record as one line of JSON.
    package let record: String
    /// The CloudEvent that belongs to it as one line of JSON, if there is one.
    package let event: String?
    /// How far the journal is in the records up to this one; nil if that is not known.
    package let journal: JournalCursor?

    package init(seq: Int64, record: String, event: String? = nil, journal: JournalCursor? = nil) {
        self.seq = seq
        self.record = record
        self.event = event
        self.journal = journal
    }
}

/// A sink could not take what it was given. What it had is given again.
package struct SinkError: Error, Equatable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// The seam to whatever takes the log: stdout, a file, NATS.
///
/// Contract, which `EventSinkConformance` tries on every implementation:
/// - `deliver` is called from one thread at a time, with consecutive deliveries in order of `seq`.
/// - It returns the highest `seq` that the sink has durably taken (its own meaning of durable, stated in its doc
///   comment); all before it are taken too. It never skips.
/// - It may take part of a batch, or nothing; the rest is given again, also after a crash. A sink therefore makes
///   repeated deliveries harmless by their `seq`, as far as its medium can.
/// - It returns or throws within 5 seconds whatever the other side does, and keeps no more than the batch in memory.
package protocol EventSink {
    /// A short name for the log and the spool's cursor: unique, stable over restarts.
    var name: String { get }
    /// - Throws: `SinkError` if nothing could be taken; the caller waits and tries again.
    mutating func deliver(_ batch: [Delivery]) throws(SinkError) -> Int64
    /// What the medium holds of this job already, as far as the sink can tell; nil if it does not know. A new spool
    /// numbers its records on from there, and follows the journal from there. Within 5 seconds.
    mutating func lastTaken() -> Holding?
}

extension EventSink {
    package mutating func lastTaken() -> Holding? { .nothing }
}
