import CLinux
import Glibc
package import LinuxSystem

/// Writes one line to stderr, with our name before it.
///
/// PID 1 must not stand still because nobody reads its log: a descriptor that takes nothing within 100 ms loses the
/// line. (A pipe that poll(2) reports writable has room for PIPE_BUF bytes, and a line is shorter than that; only
/// another writer filling the pipe in between could still hold us up, until the reader reads again.) stderr cannot be
/// made non-blocking instead: the flag would be seen by everyone who shares it.
func logLine(_ message: String) {
    var waiting = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
    guard poll(&waiting, 1, 100) == 1 else { return }
    let line = Array(("agent-init: " + oneLine(message)).utf8.prefix(4000)) + [UInt8(ascii: "\n")]
    // A closed pipe is EPIPE (SIGPIPE is blocked), and there is nowhere left to say so.
    _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
}

/// The text on one line and without controls: what a child or a server wrote must not steer a terminal.
package func oneLine(_ text: String) -> String {
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
        let isControl = scalar.value < 0x20 || (0x7f..<0xa0).contains(scalar.value)
        result.append(isControl ? " " : scalar)
    }
    while result.last == " " { result.removeLast() }
    return String(result)
}

/// "SIGTERM" for 15.
package func signalName(_ number: Int32) -> String {
    guard let name = clinux_signal_name(number) else { return "signal \(number)" }
    return "SIG" + String(cString: name)
}

/// "exited with 3", "was killed by signal 9 (SIGKILL)".
package func describe(_ end: ProcessEnd) -> String {
    switch end {
    case .exited(let code): "exited with \(code)"
    case .signaled(let signal): "was killed by signal \(signal) (\(signalName(signal)))"
    }
}
