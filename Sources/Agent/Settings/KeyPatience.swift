import LinuxSystem

/// How long a credential that was refused is tried again. It may have been rotated, and what is in the pod's folder then is
/// behind: a kubelet brings the new version of a Secret with its next sync, up to a minute and more later
/// (kubernetes.io, "Secrets": the sync period and the delay of the kubelet's cache).
///
/// Another one is sent at once, the same one for `total` in all. Of one that changes with each try at most ten are taken.
package struct KeyPatience {
    /// Milliseconds.
    package static let total: Int64 = 90_000
    private static let longestPause: Int64 = 10_000
    private static let mostKeys = 10

    /// Until when the same one is tried, on the clock that is never set; nil if it was not refused.
    private var until: Int64?
    private var keys = 1

    package init() {}

    /// Whether one that was refused is tried again.
    package var isWaiting: Bool { until != nil }

    /// It was refused.
    ///
    /// - Parameters:
    ///   - hasOther: there is another one now.
    ///   - isForbidden: it is known, and not allowed this: waiting for it to be known is of no use.
    ///   - random: from 0 to 1, so that many pods do not come back at once.
    ///   - now: on the clock that is never set, in milliseconds.
    /// - Returns: milliseconds until the next try; nil if there is to be none.
    package mutating func refused(
        hasOther: Bool = false, isForbidden: Bool = false, random: Double, now: Int64 = Clock.monotonic
    ) -> Int64? {
        if hasOther, keys < Self.mostKeys { return 0 }
        guard !isForbidden else { return nil }
        let until = until ?? now + Self.total
        self.until = until
        guard now < until else { return nil }
        return min(until - now, Int64(Double(Self.longestPause) * (0.5 + random / 2)))
    }

    /// Another one is about to be sent, which has its own time.
    package mutating func changed() {
        keys += 1
        if keys <= Self.mostKeys { until = nil }
    }

    /// It was accepted.
    package mutating func accepted() { self = KeyPatience() }
}
