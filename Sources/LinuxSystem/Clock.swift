import Glibc

/// The clocks, in milliseconds.
package enum Clock {
    /// CLOCK_MONOTONIC: for deadlines; never goes back; not comparable between boots.
    package static var monotonic: Int64 { read(CLOCK_MONOTONIC) }

    /// CLOCK_REALTIME since 1970: for records; may jump.
    package static var wall: Int64 { read(CLOCK_REALTIME) }

    /// CLOCK_BOOTTIME: never set and never goes back, and counts what the machine sleeps: for times that are kept and whose
    /// differences count.
    package static var boot: Int64 { read(CLOCK_BOOTTIME) }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        // Cannot fail: both clocks exist on every Linux (clock_gettime(2)).
        _ = clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}

/// A point on the monotonic clock by which something must be over.
package struct Deadline: Sendable, Equatable {
    /// Milliseconds of `Clock.monotonic`; `Int64.max` means never.
    package let at: Int64

    package init(at: Int64) { self.at = at }

    package static let never = Deadline(at: .max)

    /// The moment in so many milliseconds; never, if that is beyond the clock.
    package static func after(milliseconds: Int64) -> Deadline {
        let (moment, overflows) = Clock.monotonic.addingReportingOverflow(max(0, milliseconds))
        return Deadline(at: overflows ? .max : moment)
    }

    package var hasPassed: Bool { remaining <= 0 }

    /// Milliseconds left, at least 0.
    package var remaining: Int64 { at == .max ? .max : max(0, at - Clock.monotonic) }

    package func sooner(_ other: Deadline) -> Deadline { at <= other.at ? self : other }

    /// The timeout to give to poll(2): -1 for never, and rounded up so that a poll does not spin at the end.
    package var pollTimeout: Int32 { at == .max ? -1 : Int32(clamping: remaining) }
}
