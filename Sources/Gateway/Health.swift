import LinuxSystem
import Synchronization

/// What the probes say. Written by the pipeline, read by the HTTP server; any thread.
package final class Health: Sendable {
    /// How old the loop's last sign of life may be, in milliseconds; also how long it may take to give the first one.
    package static let patience: Int64 = 60_000

    private struct State {
        var start: Int64
        var sign: Int64?
        var spoolFailure: String?
        var isStopping = false
    }

    private let state: Mutex<State>
    private let now: @Sendable () -> Int64

    /// - Parameter now: the monotonic clock in milliseconds.
    package init(now: @escaping @Sendable () -> Int64 = { Clock.monotonic }) {
        self.now = now
        state = Mutex(State(start: now()))
    }

    /// The loop beats, or its journal grew.
    package func loopIsAlive() { state.withLock { $0.sign = now() } }

    /// Whether records can be stored; the reason if not.
    package func spoolFails(_ reason: String?) { state.withLock { $0.spoolFailure = reason } }

    /// SIGTERM has come.
    package func stops() { state.withLock { $0.isStopping = true } }

    /// Why the process group should be restarted; nil if it should not. Never a matter of what is outside the pod.
    package var deathReason: String? {
        let now = now()
        return state.withLock { state in
            if let sign = state.sign {
                let age = now - sign
                return age < Self.patience ? nil : "the loop has given no sign of life for \(age / 1000) s"
            }
            let age = now - state.start
            return age < Self.patience ? nil : "the loop has not begun to work in \(age / 1000) s"
        }
    }

    /// Why the pod should not be counted on; nil if it can be.
    package var unreadyReason: String? {
        state.withLock { state in
            if state.isStopping { return "the pod is stopping" }
            if let reason = state.spoolFailure { return "the log cannot be stored: \(reason)" }
            return state.sign == nil ? "the loop has not begun to work" : nil
        }
    }
}
