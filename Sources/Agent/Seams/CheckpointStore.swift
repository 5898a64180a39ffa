/// An event with its place in the journal.
package struct StoredEvent: Equatable, Sendable {
    /// From 1, without a gap.
    package let seq: Int64
    /// The epoch of the process that wrote it.
    package let epoch: Int64
    /// Milliseconds since 1970, by the writer's clock.
    package let time: Int64
    package let event: Event

    package init(seq: Int64, epoch: Int64, time: Int64, event: Event) {
        self.seq = seq
        self.epoch = epoch
        self.time = time
        self.event = event
    }
}

/// Why a store cannot go on.
package struct StoreError: Error, Equatable, CustomStringConvertible {
    package enum Kind: Equatable, Sendable {
        /// Another process has taken the job: this one must stop at once and change nothing more.
        case fenced
        /// The database is damaged or none.
        case unusable
        /// It is another job's.
        case foreign
        /// A reader's file has been replaced under its name: what it has read may be of another history.
        case replaced
        /// It was written by a newer version.
        case newer
        /// The file system has no room: nothing was changed, and with room the same succeeds.
        case full
        /// The file system fails: whether the last commit is on the disk is known only when it is opened again.
        case inputOutput
        /// The place cannot hold a checkpoint (network file system, no permission).
        case place
        /// Of the object store that says who owns the job: it refuses the credentials, or what it is asked, for good.
        case denied, refused
        /// This process was told to stop while it waited.
        case stopped
    }

    package let kind: Kind
    /// What failed, with the path, and what to do about it.
    package let description: String

    package init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}

/// A job's journal as its new owner finds it.
package struct Acquisition: Sendable {
    /// The new owner's epoch, larger than all before.
    package let epoch: Int64
    /// The fold of the journal's beginning; for a new job, or if all of it is in `events`, a state of nothing.
    package let state: JobState
    /// The journal after that, in order; empty for a new job.
    package let events: [StoredEvent]

    package init(epoch: Int64, state: JobState = JobState(), events: [StoredEvent]) {
        self.epoch = epoch
        self.state = state
        self.events = events
    }
}

/// The seam to the checkpoint: an append-only journal that one process at a time owns.
///
/// Contract, which `CheckpointStoreConformance` tries on every implementation:
/// - `acquire` makes this process the owner: it raises the epoch, and every `append` of an older owner fails from
///   then on with `fenced`.
/// - `append` stores all its events in one transaction that is on the disk when it returns (power loss included), or
///   none of them. Their numbers go on without a gap and their epoch is the owner's; anything else is refused.
///   `state` is the fold after them; implementations keep of it what readers need, and may give it back in a later
///   `Acquisition` instead of the events that it is the fold of.
/// - `reserveRoom` makes sure that after a `full` there is still room for a last commit of some MiB: `releaseRoom` gives
///   it to the commits that follow. It throws `full` if there is no such room.
/// - A store is used from one thread. After a throw other than of `full` it is not used again.
package protocol CheckpointStore: AnyObject {
    func reserveRoom() throws(StoreError)
    func releaseRoom()
    func acquire() throws(StoreError) -> Acquisition
    func append(_ events: [StoredEvent], state: JobState) throws(StoreError)
}

/// A read-only look into a job's journal, of a live or a dead owner. It takes no lock longer than a read.
package protocol JournalReader: AnyObject {
    /// At most `limit` events after `seq`, in order; empty if there are none yet, or no journal yet.
    func events(after seq: Int64, limit: Int) throws(StoreError) -> [StoredEvent]
}
