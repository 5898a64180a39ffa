import Events
import Gateway
import Synchronization

/// A sink that keeps what it is given, for tests to look at and to disturb.
final class Collector: Sendable {
    private struct State {
        var deliveries: [Delivery] = []
        var failure: String?
        var held = Holding.nothing
    }
    private let state = Mutex(State())

    /// What it says to hold of an earlier spool.
    init(holds held: Holding = .nothing) { state.withLock { $0.held = held } }

    func plan(_ name: String = "collector") -> SinkPlan {
        SinkPlan(name) { _ in Sink(collector: self, name: name) }
    }

    func fails(_ reason: String?) { state.withLock { $0.failure = reason } }

    var seqs: [Int64] { state.withLock { $0.deliveries.map(\.seq) } }
    var records: [JSON] { state.withLock { $0.deliveries }.compactMap { try? JSON(parsing: $0.record) } }
    /// How far the journal was in what it was given last.
    var journal: JournalCursor? { state.withLock { $0.deliveries.last?.journal } }
    var bodies: [String] { records.compactMap { $0["body"]?.string } }
    var events: [JSON] {
        state.withLock { $0.deliveries }.compactMap { delivery in delivery.event.flatMap { try? JSON(parsing: $0) } }
    }

    private struct Sink: EventSink {
        let collector: Collector
        let name: String

        func lastTaken() -> Holding? { collector.state.withLock { $0.held } }

        func deliver(_ batch: [Delivery]) throws(SinkError) -> Int64 {
            let failure = collector.state.withLock { state in
                if state.failure == nil { state.deliveries += batch }
                return state.failure
            }
            if let failure { throw SinkError(failure) }
            return batch.last?.seq ?? 0
        }
    }
}
