/// A place in the history of a job: an event's number, and the epoch of the process that wrote it. A later epoch is further
/// on, whatever its numbers are: it began where an earlier one was then.
package struct JournalPlace: Codable, Equatable, Comparable, Sendable {
    package var epoch: Int64
    package var seq: Int64

    package init(epoch: Int64, seq: Int64) {
        self.epoch = epoch
        self.seq = seq
    }

    package static func < (left: JournalPlace, right: JournalPlace) -> Bool {
        (left.epoch, left.seq) < (right.epoch, right.seq)
    }
}
