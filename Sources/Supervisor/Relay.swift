import Glibc
import LinuxSystem

/// Passes on what a child writes to its stdout or stderr, and keeps the end of it for a last-gasp record.
///
/// A reader that does not read holds the child up as a pipe between the two would, never PID 1: 64 KiB wait in each of
/// the pipes and at most so much here. What one child wrote before it died is passed on all the same.
struct Relay: ~Copyable {
    /// The child's end is `input.writer`.
    private(set) var input: Pipe
    /// Where to: a descriptor that others share and that must stay blocking for them.
    private let sink: Int32
    private var pending: [UInt8] = []
    /// Whether the child's end has been closed, and whether that was told.
    private var hasEnded = false
    private var wasTold = false

    /// What a pipe takes without making us wait if poll(2) says that it can be written (PIPE_BUF, pipe(7)).
    static let piece = 4096

    /// - Throws: `SystemError` of pipe2(2) or fcntl(2).
    init(to sink: Int32) throws(SystemError) {
        // A throwing initializer must not leave a noncopyable value half made.
        let pipe = try Pipe()
        try setNonBlocking(pipe.reader.number, true)
        self.sink = sink
        input = pipe
    }

    /// What to wait for: more to read, or, while something is pending, room to write it.
    var awaited: pollfd {
        if isWaiting { return pollfd(fd: sink, events: Int16(POLLOUT), revents: 0) }
        return pollfd(fd: hasEnded ? -1 : input.reader.number, events: Int16(POLLIN), revents: 0)
    }

    /// Whether something is still to be passed on.
    var isWaiting: Bool { !pending.isEmpty }

    /// Whether all has come and was passed on; true once.
    mutating func reachesItsEnd() -> Bool {
        guard hasEnded, pending.isEmpty, !wasTold else { return false }
        wasTold = true
        return true
    }

    /// Passes on what is there, at most 256 KiB, as far as the sink takes it.
    mutating func pass(keeping tail: inout Tail) {
        for _ in 0..<64 {
            if pending.isEmpty, !hasEnded { add(take(into: &tail)) }
            guard !pending.isEmpty, give() else { return }
        }
    }

    /// Takes all that a dead child has left in its pipe, whether or not the sink takes it, and gives it.
    mutating func collect(into tail: inout Tail) -> [UInt8] {
        var all: [UInt8] = []
        // A pipe has 64 KiB; what else comes is a later child's.
        for _ in 0..<17 where !hasEnded { all += take(into: &tail) }
        return all
    }

    /// Closes the child's end: what is left in the pipe is the last of it.
    mutating func closeInput() throws(SystemError) {
        input.writer = try openNull()
    }

    /// Reads a piece.
    mutating func take(into tail: inout Tail) -> [UInt8] {
        withUnsafeTemporaryAllocation(byteCount: Self.piece, alignment: 1) { buffer in
            switch (try? readSome(input.reader.number, into: buffer)) ?? .end {
            case .bytes(let count):
                tail.append(buffer[..<count])
                return Array(buffer[..<count])
            case .wouldBlock: break
            case .end: hasEnded = true
            }
            return []
        }
    }

    /// What is to be passed on next.
    mutating func add(_ bytes: [UInt8]) { pending += bytes }

    /// Writes a piece; false if the sink takes none now.
    @discardableResult
    mutating func give() -> Bool {
        guard !pending.isEmpty else { return true }
        var room = pollfd(fd: sink, events: Int16(POLLOUT), revents: 0)
        guard poll(&room, 1, 0) == 1 else { return false }
        let piece = pending.prefix(Self.piece)
        let count = piece.withUnsafeBytes { write(sink, $0.baseAddress, $0.count) }
        // A reader that has gone for good: nobody will ever take it. The tail has it.
        if count < 0, errno != EAGAIN, errno != EINTR { pending.removeAll() }
        guard count > 0 else { return pending.isEmpty }
        pending.removeFirst(count)
        return true
    }
}
