import LinuxSystem

/// The job's state together with its journal: the one way to change either.
///
/// An event is first on the disk and then in `state`; a process that dies between the two reads it back. Used from
/// the loop's thread.
package final class Ledger {
    /// The fold of everything committed.
    package private(set) var state: JobState
    private let store: any CheckpointStore
    private let now: () -> Int64
    /// Called after each commit with the state after it.
    package var onCommit: (JobState) -> Void = { _ in }

    /// Takes the job over: the older owner, if there is one, can commit nothing from now on.
    ///
    /// - Throws: `StoreError`.
    package init(
        store: any CheckpointStore, version: String, host: String, now: @escaping () -> Int64 = { Clock.wall }
    ) throws(StoreError) {
        self.store = store
        self.now = now
        let acquisition = try store.acquire()
        state = JobState(folding: acquisition.events)
        state.epoch = acquisition.epoch
        try commit([.acquired(.init(version: version, host: host, resumed: !acquisition.events.isEmpty))])
    }

    /// Appends the events in one transaction and folds them in.
    ///
    /// - Throws: `StoreError`; the state is then as before.
    package func commit(_ events: [Event]) throws(StoreError) {
        // A clock that went back must not make time in the journal go back.
        let time = max(now(), state.time)
        var next = state
        var stored: [StoredEvent] = []
        for event in events {
            let entry = StoredEvent(seq: next.seq + 1, epoch: state.epoch, time: time, event: event)
            next.apply(entry)
            stored.append(entry)
        }
        try store.append(stored, state: next)
        state = next
        onCommit(state)
    }

    package func commit(_ event: Event) throws(StoreError) { try commit([event]) }
}
