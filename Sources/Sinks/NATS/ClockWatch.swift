import CNATS
import LinuxSystem
import Synchronization

/// Ends a connection when the clock is set back.
///
/// nats.c waits by CLOCK_REALTIME (its natstime.c and unix/cond.c): a wait for an answer, a message or the next attempt
/// that has begun lasts longer by as much as the clock is set back, be it a day, and nothing says so. Closing a connection
/// ends all its waits, from any thread (nats.c, conn.c, `_close`); its owner then makes another.
final class ClockWatch: Sendable {
    private struct State {
        /// The `natsConnection`, as a number: a pointer is not Sendable.
        var connection: UInt = 0
        var isOver = false
    }

    private let state = Mutex(State())

    /// Milliseconds between two looks.
    private static let interval: Int64 = 500

    /// Watches on a thread of its own. Without one (no room for it) nothing is watched.
    init() {
        // From now on, not from the thread's first look on.
        let clock = SteppedClock(wall: Clock.wall, steady: Clock.boot)
        try? startThread { [self] in watch(clock) }
    }

    /// The connection to end; nil if there is none.
    ///
    /// To be told before one is destroyed. When this returns the former one is not being ended.
    func watch(_ connection: OpaquePointer?) {
        state.withLock { $0.connection = connection.map { UInt(bitPattern: $0) } ?? 0 }
    }

    func end() { state.withLock { $0.isOver = true } }

    private func watch(_ clock: SteppedClock) {
        var clock = clock
        while true {
            _ = try? waitReadable([], until: .after(milliseconds: Self.interval))
            let wasSetBack = clock.wasSetBack(wall: Clock.wall, steady: Clock.boot)
            let isOver = state.withLock { state in
                if wasSetBack, let connection = OpaquePointer(bitPattern: state.connection) {
                    natsConnection_Close(connection)
                }
                return state.isOver
            }
            if isOver { return }
        }
    }
}

/// Tells when the wall clock is set back, by one that is never set.
package struct SteppedClock {
    private var ahead: Int64

    /// Milliseconds by which a wait may become longer without anybody minding; NTP slews by less.
    private static let tolerance: Int64 = 1000

    /// Both clocks as they are now, in milliseconds.
    package init(wall: Int64, steady: Int64) { ahead = wall - steady }

    /// Whether the wall clock was set back since the last look; both as they are now.
    package mutating func wasSetBack(wall: Int64, steady: Int64) -> Bool {
        let now = wall - steady
        defer { ahead = now }
        return now < ahead - Self.tolerance
    }
}
