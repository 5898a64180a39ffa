/// How often a child may be started again, and after how long.
///
/// A crash that passes is repaired in a tenth of a second; a crash that stays costs a bounded number of starts.
package struct RestartBudget: Equatable, Sendable {
    package static let standard = RestartBudget(limit: 5, window: 600_000, firstDelay: 100, longestDelay: 5000)

    /// Restarts granted within `window` milliseconds.
    package let limit: Int
    package let window: Int64
    /// Milliseconds before the first restart; doubled for each further one within the window.
    package let firstDelay: Int64
    package let longestDelay: Int64
    /// The moments of the restarts that still count.
    private var granted: [Int64] = []

    package init(limit: Int, window: Int64, firstDelay: Int64, longestDelay: Int64) {
        self.limit = limit
        self.window = window
        self.firstDelay = firstDelay
        self.longestDelay = longestDelay
    }

    /// Takes one restart from the budget at `now` (milliseconds of the monotonic clock).
    ///
    /// - Returns: milliseconds to wait before it, or nil if the budget is spent.
    package mutating func take(at now: Int64) -> Int64? {
        granted.removeAll { now - $0 >= window }
        guard granted.count < limit else { return nil }
        var delay = firstDelay
        for _ in granted where delay < longestDelay { delay *= 2 }
        granted.append(now)
        return min(delay, longestDelay)
    }
}
