import CLinux

/// The settings that PID 1 reads itself, beside AGENT_TERMINATION_LOG, from its environment only: it has no JSON parser
/// for `AGENT_CONFIG`.
package struct InitSettings: Equatable, Sendable {
    /// AGENT_GRACE_SECONDS: from SIGTERM to the end of the pod. Milliseconds.
    package let grace: Int64
    /// AGENT_WATCHDOG_SECONDS: a child silent for this long hangs. Milliseconds.
    package let watchdog: Int64

    /// A setting that cannot be understood: exit 78.
    package struct Invalid: Error, Equatable, CustomStringConvertible {
        package let description: String
    }

    /// Reads the settings from `value(name)`; empty is unset, as everywhere in this product.
    package init(_ value: (String) -> String?) throws(Invalid) {
        grace = try Self.seconds("AGENT_GRACE_SECONDS", value, 1...3600, standard: 60)
        watchdog = try Self.seconds("AGENT_WATCHDOG_SECONDS", value, 10...3600, standard: 120)
    }

    private static func seconds(
        _ name: String, _ value: (String) -> String?, _ range: ClosedRange<Int64>, standard: Int64
    ) throws(Invalid) -> Int64 {
        guard let text = value(name), !text.isEmpty else { return standard * 1000 }
        guard let number = Int64(text), range.contains(number) else {
            throw Invalid(
                description: "\(name) is \"\(text)\"; accepted: a whole number of seconds from \(range.lowerBound) to "
                    + "\(range.upperBound)")
        }
        return number * 1000
    }
}
