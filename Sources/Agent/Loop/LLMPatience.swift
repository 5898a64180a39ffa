import LinuxSystem

/// How long this process waits for the LLM: for its next try, through an outage, for a key that is accepted.
///
/// All by the clock that is never set. A time that the journal gives is another process's, and perhaps another node's; of
/// it only as much is believed as was meant (`JobState.backoffLeft`).
package struct LLMPatience {
    /// When the next try is due.
    private var next: Int64
    /// Since when the LLM is out, as far as this process has seen; nil if it is not.
    private var outSince: Int64?
    private var key = KeyPatience()
    /// The next try is one of a key that was refused: no matter of the outage's limit.
    package private(set) var waitsForKey = false

    /// `left`: milliseconds of a wait that an earlier process has begun.
    package init(left: Int64, now: Int64 = Clock.monotonic) {
        next = now + left
        if left > 0 { outSince = now }
    }

    package var mayTry: Bool { remaining() == 0 }

    /// Milliseconds until the next try.
    package func remaining(now: Int64 = Clock.monotonic) -> Int64 { max(0, next - now) }

    /// Whether the next try would be later than `outage` milliseconds after the outage began.
    package func isExhausted(outage: Int64) -> Bool {
        guard let outSince, !waitsForKey else { return false }
        return next - outSince > outage
    }

    /// A request failed, the `failures`-th in a row.
    ///
    /// - Returns: milliseconds until the next try; nil if there is to be none.
    package mutating func failed(
        _ error: LLMError, failures: Int, hasOtherKey: Bool, random: Double, now: Int64 = Clock.monotonic
    ) -> Int64? {
        waitsForKey = error.kind == .authentication
        let delay: Int64?
        if waitsForKey {
            delay = key.refused(hasOther: hasOtherKey, isForbidden: error.isForbidden, random: random, now: now)
        } else if error.isRetryable {
            outSince = outSince ?? now
            delay = RetryDelay.milliseconds(failures: failures, floor: error.retryAfter, random: random)
        } else {
            delay = nil
        }
        if let delay { next = now + delay }
        return delay
    }

    /// There is another key now: it is sent at once, and has its own time.
    package mutating func keyChanged(now: Int64 = Clock.monotonic) {
        guard waitsForKey else { return }
        key.changed()
        waitsForKey = false
        next = now
    }

    package mutating func answered() {
        outSince = nil
        key.accepted()
        waitsForKey = false
    }
}
