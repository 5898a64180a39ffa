package import Contracts
import LinuxSystem

/// The job's state together with its journal: the one way to change either.
///
/// An event is first on the disk and then in `state`; a process that dies between the two reads it back. Used from
/// the loop's thread.
package final class Ledger {
    /// The fold of everything committed. After a commit that failed it is not to be used: the loop ends then.
    package private(set) var state: JobState
    /// Where the job is by the last commit that succeeded.
    package private(set) var progress: StatusLine.Progress
    private let store: any CheckpointStore
    package let epoch: Int64
    private let now: () -> Int64
    /// Called after each commit with the state after it.
    package var onCommit: (JobState) -> Void = { _ in }

    /// Takes the job over: the older owner, if there is one, can commit nothing from now on.
    ///
    /// `claim` claims the new epoch among all volumes, before this one has done anything under it.
    /// - Throws: `StoreError`.
    package init(
        store: any CheckpointStore, version: String, host: String, now: @escaping () -> Int64 = { Clock.wall },
        claim: (Int64) throws(StoreError) -> Void = { _ in }
    ) throws(StoreError) {
        self.store = store
        self.now = now
        let acquisition = try store.acquire()
        try claim(acquisition.epoch)
        state = acquisition.state
        for event in acquisition.events { state.apply(event) }
        progress = state.progress
        epoch = acquisition.epoch
        try commit([.acquired(.init(version: version, host: host, resumed: state.seq > 0))])
    }

    /// Appends the events in one transaction and folds them in.
    ///
    /// In place: a copy of the state for each commit would cost more the longer the conversation is.
    /// - Throws: `StoreError`; nothing is on the disk then, and the ledger has come to its end.
    package func commit(_ events: [Event]) throws(StoreError) {
        // A clock that went back must not make time in the journal go back.
        let time = max(now(), state.time)
        var stored: [StoredEvent] = []
        for event in events {
            let entry = StoredEvent(seq: state.seq + 1, epoch: epoch, time: time, event: event)
            state.apply(entry)
            stored.append(entry)
        }
        try store.append(stored, state: state)
        progress = state.progress
        onCommit(state)
    }

    package func commit(_ event: Event) throws(StoreError) { try commit([event]) }
}
