import LinuxSystem

/// Tells of the signals from inside the container that are ignored: four lines a second at most.
///
/// A command can send thousands of them, and a line waits up to 100 ms for a log that nobody reads: told one by one,
/// they would keep PID 1 from reaping for as long as the command likes.
final class IgnoredSignals {
    private static let linesPerSecond = 4
    private var lines = 0
    private var since = Int64.min
    private var untold = 0

    func tell(of signal: ReceivedSignal) {
        let now = Clock.monotonic
        if since == .min || now - since >= 1000 { (since, lines) = (now, 0) }
        guard lines < Self.linesPerSecond else {
            untold += 1
            return
        }
        lines += 1
        let others = untold > 0 ? " (and \(untold) others before it)" : ""
        logLine("\(signalName(signal.number)) from process \(signal.sender) inside the container is ignored\(others)")
        untold = 0
    }
}
