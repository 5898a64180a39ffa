import Glibc
import LinuxSystem
import SecretRedaction

/// The pipes between the loop and the gateway (docs/ARCHITECTURE.md, "Descriptors").
///
/// Made once and held open at both ends: what one process wrote before the other died is still there for the
/// next one. What a child says on its way to its death passes through us, so that its end is known: the loop's stdout
/// and stderr, and the gateway's stderr. The gateway's stdout is the log itself, which its spool has.
final class Plumbing {
    private let null: Descriptor
    private var stdout: Pipe
    private var stderr: Pipe
    private var live: Pipe
    private var commands: Pipe
    private var loopOutput: Relay
    private var loopErrors: Relay
    private var gatewayErrors: LineRelay
    /// The end of what each child has written since its start.
    private var loopTail = Tail()
    private var gatewayTail = Tail()

    /// - Throws: `SystemError` of open(2) on /dev/null, pipe2(2) or fcntl(2).
    init() throws(SystemError) {
        null = try openNull()
        stdout = try Pipe()
        stderr = try Pipe()
        live = try Pipe()
        commands = try Pipe()
        loopOutput = try Relay(to: stdout.writer.number)
        loopErrors = try Relay(to: stderr.writer.number)
        gatewayErrors = try LineRelay(to: STDERR_FILENO)
        // Live lines are for display: the loop drops them when the pipe is full, and never waits.
        try setNonBlocking(live.writer.number, true)
    }

    /// The loop's descriptors and flags: 0 nothing, 1 and 2 its log, 3 status, 4 commands, 5 live.
    func loop(status: Int32) -> (descriptors: [(ours: Int32, childs: Int32)], arguments: [String]) {
        (
            [
                (null.number, 0), (loopOutput.input.writer.number, 1), (loopErrors.input.writer.number, 2),
                (status, 3), (commands.reader.number, 4), (live.writer.number, 5),
            ], ["loop", "--status-fd", "3", "--commands-fd", "4", "--live-fd", "5"]
        )
    }

    /// The gateway's: 0 nothing, 1 the container's, 2 goes there through us, 3 status, 4 commands, 5 live, 6 and 7 the
    /// loop's log.
    func gateway(status: Int32) -> (descriptors: [(ours: Int32, childs: Int32)], arguments: [String]) {
        (
            [
                (null.number, 0), (STDOUT_FILENO, 1), (gatewayErrors.childsEnd, 2), (status, 3),
                (commands.writer.number, 4), (live.reader.number, 5), (stdout.reader.number, 6),
                (stderr.reader.number, 7),
            ],
            [
                "gateway", "--status-fd", "3", "--commands-fd", "4", "--live-fd", "5", "--loop-stdout-fd", "6",
                "--loop-stderr-fd", "7",
            ]
        )
    }

    // MARK: Relays

    /// What the relays wait for.
    var awaited: [pollfd] { [loopOutput.awaited, loopErrors.awaited, gatewayErrors.awaited] }

    /// Takes what the gateway has written to its stderr. To be called before its status lines are taken: it tells where
    /// secrets are before it knows one.
    func take() { gatewayErrors.take(into: &gatewayTail) }

    /// Passes on what the children have written; the gateway's stderr only if `gatewayIsUp`, that is, has said a word.
    func pass(without secrets: KnownSecrets, gatewayIsUp: Bool) {
        loopOutput.pass(keeping: &loopTail)
        loopErrors.pass(keeping: &loopTail)
        gatewayErrors.pass(without: secrets, isHeld: !gatewayIsUp)
        do throws(SystemError) {
            // An end cannot be taken out of a pipe; something else in its place closes it.
            if loopOutput.reachesItsEnd() { stdout.writer = try openNull() }
            if loopErrors.reachesItsEnd() { stderr.writer = try openNull() }
        } catch {
            logLine("the loop's log cannot be closed, the gateway will see no end of it: \(error)")
        }
    }

    /// Takes what a dead loop has left in its pipes and returns the end of all it wrote; the next one begins anew.
    func lastWordsOfLoop() -> Tail {
        defer { loopTail = Tail() }
        loopOutput.add(loopOutput.collect(into: &loopTail))
        loopErrors.add(loopErrors.collect(into: &loopTail))
        return loopTail
    }

    /// The same for a dead gateway; what was held back of it is passed on only if it `wasUp`.
    func lastWordsOfGateway(without secrets: KnownSecrets, wasUp: Bool) -> Tail {
        defer { gatewayTail = Tail() }
        gatewayErrors.collect(into: &gatewayTail)
        if !wasUp { gatewayErrors.discard() }
        gatewayErrors.pass(without: secrets, isHeld: false)
        return gatewayTail
    }

    /// Closes our copies of the loop's ends, when it will not run again: the gateway reads what is left and then the
    /// end, and a command it still sends is EPIPE.
    func closeLoopEnds() {
        do throws(SystemError) {
            try loopOutput.closeInput()
            try loopErrors.closeInput()
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
