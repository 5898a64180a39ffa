import Glibc
import LinuxSystem

/// A pipe whose ends a test can close one by one.
final class TestPipe: Sendable {
    let reader: Int32
    let writer: Int32

    init() throws {
        let made = try Pipe()
        reader = fcntl(made.reader.number, F_DUPFD_CLOEXEC, 3)
        writer = fcntl(made.writer.number, F_DUPFD_CLOEXEC, 3)
    }

    /// As when the last writer has gone. The number is kept in use, so that nothing else gets it.
    func closeWriter() { dup2(STDERR_FILENO, writer) }

    deinit {
        close(reader)
        close(writer)
    }
}
