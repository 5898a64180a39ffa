import CLinux
import Glibc

/// The size of a terminal's window in characters.
package struct WindowSize: Equatable, Sendable {
    package var rows: UInt16
    package var columns: UInt16

    package init(rows: UInt16, columns: UInt16) {
        self.rows = rows
        self.columns = columns
    }

    /// The size of the terminal that a descriptor is open on; nil if it is none, or does not know its size.
    package init?(of descriptor: Int32) {
        var rows: UInt16 = 0
        var columns: UInt16 = 0
        guard clinux_window_get(descriptor, &rows, &columns) == 0, rows > 0, columns > 0 else { return nil }
        self.init(rows: rows, columns: columns)
    }

    /// Gives the terminal this size; its foreground processes are told by SIGWINCH.
    package func set(_ terminal: Int32) { _ = clinux_window_set(terminal, rows, columns) }
}

/// A pseudo-terminal: a program finds its terminal at one end, we are the keyboard and the screen at the other.
package struct PseudoTerminal: ~Copyable {
    /// Our end.
    package var controller: Descriptor
    /// The program's end. To be closed here once the program has it, or its end is never seen.
    package var terminal: Descriptor

    /// - Throws: `SystemError("openpty")`: no /dev/ptmx, or too many of them.
    package init() throws(SystemError) {
        var ours: Int32 = -1
        var theirs: Int32 = -1
        let result = clinux_terminal_open(&ours, &theirs)
        guard result == 0 else { throw SystemError("openpty", code: -result, subject: "/dev/ptmx") }
        controller = Descriptor(adopting: ours)
        terminal = Descriptor(adopting: theirs)
    }
}

/// The terminal that a person sits at, switched to pass every key through as it is, and back.
package final class RawTerminal {
    private let descriptor: Int32
    private let ordinary: termios

    /// Nil if the descriptor is no terminal.
    package init?(_ descriptor: Int32) {
        var settings = termios()
        guard tcgetattr(descriptor, &settings) == 0 else { return nil }
        self.descriptor = descriptor
        ordinary = settings
    }

    /// Every key as it is, nothing echoed: the pseudo-terminal behind does that.
    package func enter() {
        var raw = ordinary
        cfmakeraw(&raw)
        _ = tcsetattr(descriptor, TCSADRAIN, &raw)
    }

    /// As it was when this value was made.
    package func restore() {
        var settings = ordinary
        _ = tcsetattr(descriptor, TCSADRAIN, &settings)
    }
}

/// Writes what the descriptor takes at once, as clinux_write_now says; 0 if that is nothing.
///
/// - Throws: `SystemError("write")`; EPIPE if the reader has gone (the caller must have SIGPIPE ignored).
package func writeNow(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) throws(SystemError) -> Int {
    guard let start = bytes.baseAddress, !bytes.isEmpty else { return 0 }
    let count = clinux_write_now(descriptor, start, UInt(bytes.count))
    if count == -Int(EAGAIN) { return 0 }
    guard count >= 0 else { throw SystemError("write", code: Int32(-count)) }
    return count
}

/// Whether this process was started with the signal ignored: it is then to stay so (nohup(1), a shell's `&`).
package func isIgnored(_ signal: Int32) -> Bool { clinux_is_ignored(signal) == 1 }

/// Ends this process by the signal, so that a shell sees what happened. Returns only for PID 1.
package func die(of signal: Int32) { clinux_die_of(signal) }
