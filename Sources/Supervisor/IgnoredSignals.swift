import LinuxSystem

/// Tells of the signals from inside the container that are ignored: one line a second at most.
///
/// A command can send thousands of them, and a line waits up to 100 ms for a log that nobody reads: told one by one,
/// they would keep PID 1 from reaping for as long as the command likes.
final class IgnoredSignals {
    private var tellAgainAt = Int64.min
    private var untold = 0

    func tell(of signal: ReceivedSignal) {
        guard Clock.monotonic >= tellAgainAt else {
            untold += 1
            return
        }
        let others = untold > 0 ? " (and \(untold) more since the last such line)" : ""
        logLine("\(signalName(signal.number)) from process \(signal.sender) inside the container is ignored\(others)")
        untold = 0
        tellAgainAt = Clock.monotonic + 1000
    }
}
