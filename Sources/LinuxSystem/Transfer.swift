import CLinux
import Glibc

/// What one read gave.
package enum ReadOutcome: Equatable {
    case bytes(Int)
    case end
    /// Nothing there now (a non-blocking descriptor).
    case wouldBlock
}

/// One read(2) into `buffer`, repeated on EINTR.
package func readSome(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) throws(SystemError)
    -> ReadOutcome
{
    while true {
        let count = read(descriptor, buffer.baseAddress, buffer.count)
        if count > 0 { return .bytes(count) }
        if count == 0 { return .end }
        if errno == EAGAIN { return .wouldBlock }
        // A pseudo-terminal whose other side has closed says EIO, not end of file (tty_ioctl(4)).
        if errno == EIO { return .end }
        if errno != EINTR { throw SystemError.last("read") }
    }
}

/// Writes all bytes, waiting as long as the descriptor makes it wait.
///
/// - Throws: `SystemError`; EPIPE if the reader has gone (the caller must have SIGPIPE ignored).
package func writeAll(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) throws(SystemError) {
    var rest = bytes
    while let start = rest.baseAddress, !rest.isEmpty {
        let count = write(descriptor, start, rest.count)
        if count >= 0 {
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        } else if errno == EAGAIN {
            var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            _ = poll(&waiting, 1, -1)
        } else if errno != EINTR {
            throw SystemError.last("write")
        }
    }
}

/// Writes all of `bytes`, as above.
///
/// - Throws: `SystemError`, as above.
package func writeAll(_ descriptor: Int32, _ bytes: [UInt8]) throws(SystemError) {
    let failure = bytes.withUnsafeBytes { buffer -> SystemError? in
        do throws(SystemError) {
            try writeAll(descriptor, buffer)
            return nil
        } catch {
            return error
        }
    }
    if let failure { throw failure }
}

/// Writes all of `text` in UTF-8, as above.
///
/// - Throws: `SystemError`, as above.
package func writeAll(_ descriptor: Int32, _ text: String) throws(SystemError) {
    try writeAll(descriptor, Array(text.utf8))
}

/// Writes `text` in one write(2), whole or not at all if it is at most PIPE_BUF (4096) bytes long (pipe(7)).
///
/// Returns false if it was not taken: the pipe is full (non-blocking) or has no reader.
package func writeOnce(_ descriptor: Int32, _ text: String) -> Bool {
    var copy = text
    return copy.withUTF8 { bytes in
        while true {
            let count = write(descriptor, bytes.baseAddress, bytes.count)
            if count >= 0 { return count == bytes.count }
            if errno != EINTR { return false }
        }
    }
}

/// Moves what is in one pipe into another, as far as that goes at once, without copying it (splice(2)).
///
/// - Returns: `.wouldBlock` if the source is empty or the sink full.
/// - Throws: `SystemError("splice")`; EPIPE if the reader has gone (the caller must have SIGPIPE ignored).
package func moveNow(from source: Int32, to sink: Int32) throws(SystemError) -> ReadOutcome {
    let count = clinux_move_now(source, sink, 1 << 20)
    if count == -Int(EAGAIN) { return .wouldBlock }
    guard count >= 0 else { throw SystemError("splice", code: Int32(-count)) }
    return count == 0 ? .end : .bytes(count)
}

/// Whether a pipe has something to be read.
package func holdsBytes(_ pipe: Int32) -> Bool { clinux_waiting_bytes(pipe) > 0 }
