import Events
import Glibc
import LinuxSystem

/// Writes to a descriptor that others may share, and that may be full, slow or gone.
///
/// O_NONBLOCK would be set for everybody who has the terminal or the pipe open, a shell included. So each piece is
/// polled for first; a pipe that is ready takes PIPE_BUF bytes without blocking (pipe(7)).
struct PatientWriter {
    let descriptor: Int32
    private static let piece = 4096
    /// Milliseconds that one batch may take: the sink's contract gives 5 s.
    private static let patience: Int64 = 4000

    enum Outcome: Equatable {
        case written
        /// Nobody took it in time; this many bytes went out.
        case stuck(Int)
        case failed(Int32)
    }

    func write(_ bytes: [UInt8]) -> Outcome {
        let deadline = Deadline.after(milliseconds: Self.patience)
        var sent = 0
        while sent < bytes.count {
            var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            let ready = poll(&waiting, 1, deadline.pollTimeout)
            if ready < 0, errno == EINTR { continue }
            if ready == 0 { return .stuck(sent) }
            let count = bytes[sent...].prefix(Self.piece).withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if count >= 0 {
                sent += count
            } else if errno != EINTR, errno != EAGAIN {
                return .failed(errno)
            }
        }
        return .written
    }
}
