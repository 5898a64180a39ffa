import Agent
import AgentFixtures
import Synchronization

/// A journal in memory that a test writes as a loop would.
final class MemoryJournal: JournalReader, Sendable {
    private let stored: Mutex<[StoredEvent]>
    private let failure = Mutex<StoreError?>(nil)

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

    func fails(_ error: StoreError?) { failure.withLock { $0 = error } }

    func events(after seq: Int64, limit: Int) throws(StoreError) -> [StoredEvent] {
        if let error = failure.withLock({ $0 }) { throw error }
        return stored.withLock { Array($0.drop { $0.seq <= seq }.prefix(limit)) }
    }

    static func note(_ text: String) -> Event { .noted(.init(kind: .reminder, text: text)) }
}
