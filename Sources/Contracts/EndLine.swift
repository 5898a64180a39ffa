/// The line in the log by which the loop says how it ends. PID 1 says the same on the container's stderr, last and with
/// the exit code: who reads both is told once.
package enum EndLine {
    private static let beginning = "agent-init: "

    /// "agent-init: configuration (exit 78): JOB_ID is not set", on one line whatever the reason holds.
    package static func text(outcome: String, exit: Int32, reason: String) -> String {
        let line = reason.split(whereSeparator: \.isNewline).joined(separator: " ")
        return "\(beginning)\(outcome) (exit \(exit)): \(line)"
    }

    /// Whether a line of the loop's stderr is one.
    package static func isOne(_ line: some StringProtocol) -> Bool {
        guard line.hasPrefix(beginning) else { return false }
        let rest = line.dropFirst(beginning.count).drop { $0.isLowercase || $0 == "_" }
        guard rest.hasPrefix(" (exit ") else { return false }
        return rest.dropFirst(" (exit ".count).drop { $0.isASCII && $0.isNumber }.hasPrefix("): ")
    }
}
