import Agent
import AgentFixtures
import Synchronization

/// A journal in memory that a test writes as a loop would.
final class MemoryJournal: JournalReader, Sendable {
    private let stored: Mutex<[StoredEvent]>
    private let failure = Mutex<(error: StoreError, times: Int)?>(nil)

    init(_ events: [StoredEvent] = []) { stored = Mutex(events) }

    func append(_ events: [Event]) {
        stored.withLock { stored in
            for event in events {
                stored.append(
                    StoredEvent(seq: Int64(stored.count + 1), epoch: 1, time: Int64(stored.count), event: event))
            }
        }
    }

    func replace(_ events: [StoredEvent]) { stored.withLock { $0 = events } }

    /// What reading it throws from now on, so many times.
    func fails(_ error: StoreError?, times: Int = .max) { failure.withLock { $0 = error.map { ($0, times) } } }

    func events(after seq: Int64, limit: Int) throws(StoreError) -> [StoredEvent] {
        let error = failure.withLock { failure -> StoreError? in
            guard let (error, times) = failure, times > 0 else { return nil }
            failure = (error, times - 1)
            return error
        }
        if let error { throw error }
        return stored.withLock { Array($0.drop { $0.seq <= seq }.prefix(limit)) }
    }

    static func note(_ text: String) -> Event { .noted(.init(kind: .reminder, text: text)) }
}
