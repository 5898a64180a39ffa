/// An event of the journal, known again by a process that has another spool, or another history of the job, before it.
package struct JournalCursor: Equatable, Sendable {
    /// The event's number in the journal, from 1; 0 is before the first.
    package let seq: Int64
    /// What tells it from another event of that number; empty if that is not known.
    package let mark: String

    package static let beginning = JournalCursor(seq: 0, mark: "")

    package init(seq: Int64, mark: String) {
        self.seq = seq
        self.mark = mark
    }

    /// Reads `text` back; nil if it is none.
    package init?(_ text: String) {
        let parts = text.split(separator: " ", maxSplits: 1)
        guard let first = parts.first, let seq = Int64(first), seq >= 0 else { return nil }
        self.init(seq: seq, mark: parts.count > 1 ? String(parts[1]) : "")
    }

    /// Where it is in the job's history, by the mark (`epoch:time:kind`); of epoch 0 if that is not known.
    package var place: JournalPlace {
        JournalPlace(epoch: mark.split(separator: ":").first.flatMap { Int64($0) } ?? 0, seq: seq)
    }

    /// The number and, after a space, the mark.
    package var text: String { "\(seq) \(mark)" }
}

/// What a sink's medium holds of a job.
package struct Holding: Equatable, Sendable {
    /// The highest record, 0 if there is none.
    package let seq: Int64
    /// How far the journal is in the records up to that one; nil if that is not known.
    package let journal: JournalCursor?

    package static let nothing = Holding(seq: 0)

    package init(seq: Int64, journal: JournalCursor? = nil) {
        self.seq = seq
        self.journal = journal
    }
}
