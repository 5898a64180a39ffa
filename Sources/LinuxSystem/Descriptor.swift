import CLinux
import Glibc

/// An open file descriptor with one owner, closed when the owner goes.
///
/// Not thread-safe by itself: it is moved, never shared. All descriptors made by this target are close-on-exec, so
/// that none reaches a command.
package struct Descriptor: ~Copyable {
    /// The number, valid as long as this value lives.
    package let number: Int32

    /// Takes ownership of an open descriptor.
    package init(adopting number: Int32) {
        self.number = number
    }

    deinit {
        // Linux closes the descriptor even on EINTR (close(2)): never again.
        _ = close(number)
    }

    /// Gives the number up without closing it.
    package consuming func release() -> Int32 {
        let number = self.number
        discard self
        return number
    }
}

/// Sets or clears O_NONBLOCK.
package func setNonBlocking(_ descriptor: Int32, _ on: Bool) throws(SystemError) {
    let flags = try retrying("fcntl(F_GETFL)") { fcntl(descriptor, F_GETFL) }
    let wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK
    if wanted != flags { try retrying("fcntl(F_SETFL)") { fcntl(descriptor, F_SETFL, wanted) } }
}

/// Sets or clears close-on-exec.
package func setCloseOnExec(_ descriptor: Int32, _ on: Bool) throws(SystemError) {
    try retrying("fcntl(F_SETFD)") { fcntl(descriptor, F_SETFD, on ? FD_CLOEXEC : 0) }
}

/// The two ends of a new pipe, both close-on-exec and blocking.
package struct Pipe: ~Copyable {
    package var reader: Descriptor
    package var writer: Descriptor

    init(reader: consuming Descriptor, writer: consuming Descriptor) {
        self.reader = reader
        self.writer = writer
    }

    package init() throws(SystemError) {
        var ends: [Int32] = [-1, -1]
        let result = clinux_pipe(&ends)
        guard result == 0 else { throw SystemError("pipe2", code: -result) }
        reader = Descriptor(adopting: ends[0])
        writer = Descriptor(adopting: ends[1])
    }

    /// Gives the reading end away; this value has none then.
    package mutating func takeReader() -> Descriptor {
        var end = Descriptor(adopting: -1)
        swap(&end, &reader)
        return end
    }

    /// Gives the writing end away; this value has none then.
    package mutating func takeWriter() -> Descriptor {
        var end = Descriptor(adopting: -1)
        swap(&end, &writer)
        return end
    }

    /// Makes it hold 1 MiB: whoever writes much is woken less often. The kernel may give less; that is as good.
    package borrowing func enlarge() { _ = fcntl(reader.number, Self.setSize, 1 << 20) }

    /// F_SETPIPE_SZ of linux/fcntl.h, which Glibc's module does not have.
    private static let setSize: Int32 = 1031
}

/// Whether a descriptor is one end of a pipe.
package func isPipe(_ descriptor: Int32) -> Bool { clinux_is_pipe(descriptor) == 1 }
