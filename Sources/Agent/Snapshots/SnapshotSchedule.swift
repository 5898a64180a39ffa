/// When the next snapshot is due. Times are milliseconds of a clock that never goes back.
package struct SnapshotSchedule {
    private let interval: Int64
    private var wanted: String?
    /// The journal as the newest snapshot has it.
    private var saved: Int64 = 0
    private var began: Int64
    package private(set) var failures = 0
    private var nextTry: Int64 = 0

    /// Between two tries while they fail: doubled from the first to the last.
    private static let firstPause: Int64 = 10_000
    private static let longestPause: Int64 = 600_000

    package init(interval: Int64, now: Int64) {
        self.interval = interval
        began = now
    }

    /// One is due as soon as none is running and no pause holds it back.
    package mutating func request(_ reason: String) { wanted = reason }

    /// - Returns: why a snapshot is due, nil if none is: nothing was asked for and the interval is not over, the pause
    ///   after a failure is not, or the journal has not moved since the last.
    package mutating func due(seq: Int64, now: Int64) -> String? {
        guard now >= nextTry else { return nil }
        if wanted == nil, now - began >= interval { wanted = "interval" }
        guard let reason = wanted else { return nil }
        wanted = nil
        return seq > saved ? reason : nil
    }

    package mutating func begin(now: Int64) { began = now }

    package mutating func succeeded(seq: Int64) {
        saved = max(saved, seq)
        failures = 0
    }

    /// - Returns: the pause before the next try.
    package mutating func failed(now: Int64) -> Int64 {
        failures += 1
        let pause = min(Self.longestPause, Self.firstPause << Int64(min(failures - 1, 6)))
        nextTry = now + pause
        wanted = wanted ?? "retry"
        return pause
    }
}
