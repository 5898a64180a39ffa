package import Contracts
import LinuxSystem

/// The job's state together with its journal: the one way to change either.
///
/// An event is first on the disk and then in `state`; a process that dies between the two reads it back. Used from
/// the loop's thread.
package final class Ledger {
    /// The fold of everything committed. After a commit that failed it is not to be used: the loop ends then. After one
    /// that failed for want of room it is right again, if the reserve had that room.
    package private(set) var state: JobState
    /// Where the job is by the last commit that succeeded.
    package private(set) var progress: StatusLine.Progress
    /// The journal's last event before this process came, and its epoch.
    package let found: Int64
    package let foundEpoch: Int64
    private let store: any CheckpointStore
    package let epoch: Int64
    private let now: () -> Int64
    /// How far the journal's time is ahead of `now`: an earlier process had another clock.
    private var ahead: Int64 = 0
    /// When something was last committed, on the clock that is never set (`Clock.monotonic`).
    package private(set) var lastCommit = Clock.monotonic
    /// Called after each commit with the state after it.
    package var onCommit: (JobState) -> Void = { _ in }
    /// Called when the disk is full, before the reserve is given up for the last commit: ends what could use it up, and
    /// returns the events of that.
    package var onFull: () -> [Event] = { [] }
    /// The error after which nothing more can be committed.
    private var failure: StoreError?

    /// Takes the job over: the older owner, if there is one, can commit nothing from now on.
    ///
    /// `claim` claims the new epoch among all volumes, before this one has done anything under it.
    /// A job that was stopped because its disk was full goes on if there is room for the reserve again. Without that room
    /// no job goes on: it is stopped, once.
    /// - Throws: `StoreError`; `full` if there is no room, which the journal says then.
    package init(
        store: any CheckpointStore, version: String, host: String, now: @escaping () -> Int64 = Ledger.steadyTime(),
        claim: (Int64) throws(StoreError) -> Void = { _ in }
    ) throws(StoreError) {
        self.store = store
        self.now = now
        let shortage = try Self.shortage(of: store)
        let acquisition = try Self.acquire(store, hasReserve: shortage == nil)
        try claim(acquisition.epoch)
        state = acquisition.state
        for event in acquisition.events { state.apply(event) }
        ahead = max(0, state.time - now())
        progress = state.progress
        (found, foundEpoch) = (state.seq, state.epoch)
        epoch = acquisition.epoch
        let acquired = Event.acquired(.init(version: version, host: host, resumed: state.seq > 0))
        guard let shortage, !state.isFinished else {
            try commit([acquired] + (state.stoppedFrom.map { [.statusChanged(.init(status: $0))] } ?? []))
            return
        }
        // A job that says already why it waits must not grow with each start.
        if state.stoppedFrom == nil {
            try store.append(fold([acquired, Self.stop(shortage)]), state: state)
        }
        throw shortage
    }

    /// Why there is no room for the reserve, nil if there is.
    private static func shortage(of store: any CheckpointStore) throws(StoreError) -> StoreError? {
        do throws(StoreError) {
            try store.reserveRoom()
            return nil
        } catch {
            guard error.kind == .full else { throw error }
            return error
        }
    }

    /// Takes the job over; if even that finds no room, in that of the reserve.
    private static func acquire(
        _ store: any CheckpointStore, hasReserve: Bool
    ) throws(StoreError) -> Acquisition {
        do throws(StoreError) {
            return try store.acquire()
        } catch {
            guard error.kind == .full, hasReserve else { throw error }
        }
        store.releaseRoom()
        return try store.acquire()
    }

    private static func stop(_ shortage: StoreError) -> Event {
        .statusChanged(.init(status: .needsInput(reason: shortage.description), cause: .diskFull))
    }

    /// Appends the events in one transaction and folds them in.
    ///
    /// In place: a copy of the state for each commit would cost more the longer the conversation is.
    /// - Throws: `StoreError`; nothing is on the disk then, and the ledger has come to its end. After `full` the events are
    ///   there, unless they are intents, and the job is stopped; if the reserve was too small, nothing is.
    package func commit(_ events: [Event]) throws(StoreError) {
        if let failure { throw failure }
        // An intent leaves the conversation as it is: the copy shares it.
        let before = events.allSatisfy(\.isIntent) ? state : nil
        let stored = fold(events)
        do throws(StoreError) {
            try store.append(stored, state: state)
        } catch {
            failure = error
            guard error.kind == .full else { throw error }
            try stop(for: error, after: stored, before: before)
            // What still ends in this process, the result of a running call above all, is true and is kept.
            failure = nil
            throw error
        }
        progress = state.progress
        lastCommit = Clock.monotonic
        onCommit(state)
    }

    /// Commits what has happened, and that nothing more does, in the room of the reserve.
    private func stop(for shortage: StoreError, after stored: [StoredEvent], before: JobState?) throws(StoreError) {
        let ended = onFull()
        store.releaseRoom()
        if let before { state = before }
        var events = (before == nil ? stored : []) + fold(ended)
        if !state.isFinished, state.stoppedFrom == nil { events += fold([Self.stop(shortage)]) }
        if !events.isEmpty { try store.append(events, state: state) }
        progress = state.progress
        onCommit(state)
    }

    /// Milliseconds since 1970 by the clock as it was now, and after that by the one that is never set: within a process
    /// the times of two events are as far apart as the events were. A clock that is set while a job runs must not use up
    /// `AGENT_MAX_WALL_SECONDS`, nor stop it.
    package static func steadyTime() -> () -> Int64 {
        let offset = Clock.wall - Clock.boot
        return { Clock.boot + offset }
    }

    private func fold(_ events: [Event]) -> [StoredEvent] {
        // Time in the journal does not go back, whatever clock an earlier process had.
        let time = max(now() + ahead, state.time)
        var stored: [StoredEvent] = []
        for event in events {
            let entry = StoredEvent(seq: state.seq + 1, epoch: epoch, time: time, event: event)
            state.apply(entry)
            stored.append(entry)
        }
        return stored
    }

    package func commit(_ event: Event) throws(StoreError) { try commit([event]) }
}

extension Event {
    /// Whether it announces what is about to be done: not done, it is not to be said.
    fileprivate var isIntent: Bool {
        switch self {
        case .llmIntent, .callStarted: true
        default: false
        }
    }
}
