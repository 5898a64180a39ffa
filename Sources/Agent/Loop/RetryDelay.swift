/// How long to wait before the next try.
///
/// Full jitter over 1, 2, 4, 8, 16 s for the first five tries, then 30 s doubling to 60 min with half of it jittered;
/// the provider's wish is a floor. Source of the scheme: AWS Architecture Blog, "Exponential Backoff and Jitter".
enum RetryDelay {
    /// Milliseconds.
    static let longest: Int64 = 3_600_000

    /// - Parameters:
    ///   - failures: tries that have failed so far, this one included; at least 1.
    ///   - floor: the provider's wish, in milliseconds.
    ///   - random: a number from 0 to 1.
    /// - Returns: milliseconds.
    static func milliseconds(failures: Int, floor: Int64?, random: Double) -> Int64 {
        let delay: Double
        if failures <= 5 {
            delay = random * 1000 * Double(1 << (failures - 1))
        } else {
            let step = min(30000 * Double(1 << min(failures - 6, 7)), Double(longest))
            delay = step * (0.5 + random / 2)
        }
        return max(Int64(delay), min(floor ?? 0, longest))
    }
}
