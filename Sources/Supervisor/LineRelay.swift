import Glibc
import LinuxSystem
import SecretRedaction

/// Passes a child's stderr on to the container's: whole lines, without secrets and without controls.
///
/// What comes before the child has said its first word to PID 1 is held back, up to 16 KiB. If it dies without one, its
/// last line is the reason that PID 1 gives, and the rest is in its last-gasp record: a program that cannot be loaded is
/// told once.
struct LineRelay: ~Copyable {
    private var relay: Relay
    private var lines = LineBuffer(limit: Relay.piece, placeholder: "(a line of more than 4096 bytes)")
    /// Lines that are still to be cleaned, and their bytes.
    private var waiting: [String] = []
    private var size = 0
    private static let heldLimit = 16 << 10

    /// - Throws: as `Relay`.
    init(to sink: Int32) throws(SystemError) { relay = try Relay(to: sink) }

    /// The child's end.
    var childsEnd: Int32 { relay.input.writer.number }

    /// What to wait for.
    var awaited: pollfd { relay.awaited }

    /// Takes a piece, unless something is still to be written.
    mutating func take(into tail: inout Tail) {
        guard !relay.isWaiting else { return }
        keep(lines.take(relay.take(into: &tail)))
    }

    /// Takes all that a dead child has left.
    mutating func collect(into tail: inout Tail) {
        keep(lines.take(relay.collect(into: &tail)))
        if let line = lines.takePartial(), !line.isEmpty { keep([line]) }
    }

    private mutating func keep(_ more: [String]) {
        waiting += more
        size += more.reduce(0) { $0 + $1.utf8.count + 1 }
    }

    /// Passes on what was taken, as far as the sink takes it at once. `isHeld`: the child has not said a word.
    mutating func pass(without secrets: KnownSecrets, isHeld: Bool) {
        if !waiting.isEmpty, !isHeld || size > Self.heldLimit {
            let text = secrets.clean(waiting.joined(separator: "\n"))
            // By scalars: a newline and a mark that joins it are one Character.
            for line in text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false) {
                relay.add(Array((oneLine(String(line)) + "\n").utf8))
            }
            discard()
        }
        while relay.isWaiting, relay.give() {}
    }

    /// Forgets what was held back.
    mutating func discard() { (waiting, size) = ([], 0) }
}
