package import Events
import LinuxSystem
import Synchronization

/// A sink that is to be delivered to: its name for the cursor, and how it is made on the thread that will use it.
package struct SinkPlan: Sendable {
    package let name: String
    package let make: @Sendable (_ spool: String) throws(SinkError) -> any EventSink

    /// `make` is told the spool's incarnation. It throws if the sink can never work as it is configured; the gateway
    /// does not start then.
    package init(_ name: String, make: @escaping @Sendable (_ spool: String) throws(SinkError) -> any EventSink) {
        self.name = name
        self.make = make
    }
}

/// One sink on a thread of its own: a slow one holds up no other, and nothing of it can block the pipeline.
///
/// Holds one batch at a time, which bounds its memory.
final class SinkWorker: Sendable {
    enum Report: Equatable {
        /// The sink is made, and holds this of an earlier spool; nil if it cannot tell.
        case ready(Holding?)
        /// It could not tell at its start, and now it can.
        case holds(Holding)
        case unusable(SinkError)
        case taken(Int64)
        case failed(SinkError)
    }

    private struct Shared {
        var batch: [Delivery]?
        var reports: [Report] = []
        var isEnding = false
        var hasEnded = false
    }

    let name: String
    private let shared = Mutex(Shared())
    private let work: Bell
    private let done: Bell

    /// Starts the thread. `done` is rung after each report.
    ///
    /// - Throws: `SystemError`.
    init(_ plan: SinkPlan, spool: String, done: Bell) throws(SystemError) {
        name = plan.name
        self.done = done
        work = try Bell()
        try startThread { [self] in run(plan, spool) }
    }

    /// Gives the next batch; only when the last one was reported on.
    func give(_ batch: [Delivery]) {
        shared.withLock { $0.batch = batch }
        work.ring()
    }

    func takeReport() -> Report? {
        shared.withLock { $0.reports.isEmpty ? nil : $0.reports.removeFirst() }
    }

    /// Lets the thread end after what it is doing.
    func end() {
        shared.withLock { $0.isEnding = true }
        work.ring()
    }

    var hasEnded: Bool { shared.withLock { $0.hasEnded } }

    private func report(_ report: Report) {
        shared.withLock { $0.reports.append(report) }
        done.ring()
    }

    private func run(_ plan: SinkPlan, _ spool: String) {
        do throws(SinkError) {
            var sink = try plan.make(spool)
            let held = sink.lastTaken()
            var isAsked = held != nil
            report(.ready(held))
            while let batch = next() {
                if !isAsked, let held = sink.lastTaken() {
                    isAsked = true
                    report(.holds(held))
                }
                do throws(SinkError) {
                    report(.taken(try sink.deliver(batch)))
                } catch {
                    report(.failed(error))
                }
            }
        } catch {
            report(.unusable(error))
        }
        shared.withLock { $0.hasEnded = true }
        done.ring()
    }

    private func next() -> [Delivery]? {
        while true {
            let (batch, isEnding) = shared.withLock { shared in
                defer { shared.batch = nil }
                return (shared.batch, shared.isEnding)
            }
            if isEnding { return nil }
            if let batch { return batch }
            work.wait(.max)
        }
    }
}
