package import Events
import LinuxSystem
import Synchronization

/// Where commands come from, and how it is made on the thread that will use it.
package struct CommandPlan: Sendable {
    package let make: @Sendable () -> any CommandSource

    package init(make: @escaping @Sendable () -> any CommandSource) { self.make = make }
}

/// Fetches commands on a thread of its own, one at a time: the next one only when the loop has recorded the last and
/// that was acknowledged.
final class CommandWorker: Sendable {
    private struct Shared {
        var pending: Command?
        /// Texts for the log; at most a few, for the thread waits.
        var notes: [String] = []
        var failure: SinkError?
        var isEnding = false
        var hasEnded = false
    }

    private let shared = Mutex(Shared())
    private let work: Bell
    private let done: Bell

    /// How often the source is told that a command is still being taken care of, in milliseconds. Well within
    /// JetStream's AckWait of 30 s.
    private static let holdOn: Int64 = 10_000

    /// Starts the thread. `done` is rung when there is something to take.
    ///
    /// - Throws: `SystemError`.
    init(_ plan: CommandPlan, done: Bell) throws(SystemError) {
        self.done = done
        work = try Bell()
        try startThread { [self] in run(plan) }
    }

    /// The command that waits to be recorded by the loop.
    var pending: Command? { shared.withLock { $0.pending } }

    /// The loop has recorded it.
    func recorded(_ id: String) {
        shared.withLock { if $0.pending?.id == id { $0.pending = nil } }
        work.ring()
    }

    func takeNotes() -> [String] {
        shared.withLock { shared in
            defer { shared.notes = [] }
            return shared.notes
        }
    }

    /// Why no command can come at present.
    var failure: SinkError? { shared.withLock { $0.failure } }

    func end() {
        shared.withLock { $0.isEnding = true }
        work.ring()
    }

    var hasEnded: Bool { shared.withLock { $0.hasEnded } }
    private var isEnding: Bool { shared.withLock { $0.isEnding } }

    private func run(_ plan: CommandPlan) {
        var source = plan.make()
        while !isEnding {
            do throws(SinkError) {
                // Short, so that the end of the process is not held up by it.
                let incoming = try source.next(wait: 1000)
                shared.withLock { $0.failure = nil }
                switch incoming {
                case nil: continue
                case .refused(let text):
                    shared.withLock { $0.notes.append(text) }
                    done.ring()
                case .command(let command):
                    shared.withLock { $0.pending = command }
                    done.ring()
                    if waitUntilRecorded(&source) { try source.acknowledge() }
                }
            } catch {
                shared.withLock { $0.failure = error }
                done.ring()
                work.wait(1000)
            }
        }
        shared.withLock { $0.hasEnded = true }
        done.ring()
    }

    private func waitUntilRecorded(_ source: inout any CommandSource) -> Bool {
        var next = Deadline.after(milliseconds: Self.holdOn)
        while !isEnding {
            if pending == nil { return true }
            if next.hasPassed {
                source.holdOn()
                next = .after(milliseconds: Self.holdOn)
            }
            work.wait(next.remaining)
        }
        return pending == nil
    }
}
