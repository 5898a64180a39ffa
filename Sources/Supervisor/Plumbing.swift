import Glibc
import LinuxSystem

/// The pipes between the loop and the gateway (docs/ARCHITECTURE.md, "Descriptors").
///
/// Made once and held open at both ends: what one process wrote before the other died is still there for the
/// next one.
final class Plumbing {
    private let null: Descriptor
    private var stdout: Pipe
    private var stderr: Pipe
    private var live: Pipe
    private var commands: Pipe

    /// - Throws: `SystemError` of open(2) on /dev/null, pipe2(2) or fcntl(2).
    init() throws(SystemError) {
        null = try openNull()
        stdout = try Pipe()
        stderr = try Pipe()
        live = try Pipe()
        commands = try Pipe()
        // Live lines are for display: the loop drops them when the pipe is full, and never waits.
        try setNonBlocking(live.writer.number, true)
    }

    /// The loop's descriptors and flags: 0 nothing, 1 and 2 its log, 3 status, 4 commands, 5 live.
    func loop(status: Int32) -> (descriptors: [(ours: Int32, childs: Int32)], arguments: [String]) {
        (
            [
                (null.number, 0), (stdout.writer.number, 1), (stderr.writer.number, 2), (status, 3),
                (commands.reader.number, 4), (live.writer.number, 5),
            ], ["loop", "--status-fd", "3", "--commands-fd", "4", "--live-fd", "5"]
        )
    }

    /// The gateway's: 0 nothing, 1 and 2 the container's, 3 status, 4 commands, 5 live, 6 and 7 the loop's log.
    func gateway(status: Int32) -> (descriptors: [(ours: Int32, childs: Int32)], arguments: [String]) {
        (
            [
                (null.number, 0), (STDOUT_FILENO, 1), (STDERR_FILENO, 2), (status, 3), (commands.writer.number, 4),
                (live.reader.number, 5), (stdout.reader.number, 6), (stderr.reader.number, 7),
            ],
            [
                "gateway", "--status-fd", "3", "--commands-fd", "4", "--live-fd", "5", "--loop-stdout-fd", "6",
                "--loop-stderr-fd", "7",
            ]
        )
    }

    /// Closes our copies of the loop's ends, when it will not run again: the gateway reads what is left and then the
    /// end, and a command it still sends is EPIPE.
    func closeLoopEnds() {
        do throws(SystemError) {
            // An end cannot be taken out of a pipe; something else in its place closes it.
            stdout.writer = try openNull()
            stderr.writer = try openNull()
            live.writer = try openNull()
            commands.reader = try openNull()
        } catch {
            logLine("the loop's pipes cannot be closed, the gateway will see no end: \(error)")
        }
    }
}

/// /dev/null, close-on-exec.
///
/// - Throws: `SystemError("open")` in a container without /dev.
func openNull() throws(SystemError) -> Descriptor {
    Descriptor(adopting: try retrying("open", subject: "/dev/null") { open("/dev/null", O_RDWR | O_CLOEXEC) })
}
