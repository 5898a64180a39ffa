import LinuxSystem

/// Wakes the poll of one thread from another one.
final class Bell: Sendable {
    private let ends: Pipe

    /// - Throws: `SystemError("pipe2")`.
    init() throws(SystemError) {
        ends = try Pipe()
        try setNonBlocking(ends.reader.number, true)
        try setNonBlocking(ends.writer.number, true)
    }

    /// To be polled for reading.
    var descriptor: Int32 { ends.reader.number }

    /// A full pipe is rung already.
    func ring() { _ = writeOnce(ends.writer.number, "!") }

    func silence() {
        withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) { buffer in
            while case .bytes(let count)? = try? readSome(ends.reader.number, into: buffer), count == buffer.count {}
        }
    }

    /// Waits for a ring, at most `milliseconds`.
    func wait(_ milliseconds: Int64) {
        _ = try? waitReadable([descriptor], until: milliseconds == .max ? .never : .after(milliseconds: milliseconds))
        silence()
    }
}
