import CLinux
import Glibc
import LinuxSystem
import Testing

@Suite struct DescriptorMessageTests {
    /// What /proc says of a descriptor of ours.
    private func file(_ number: Int32) -> String? {
        guard let name = realpath("/proc/self/fd/\(number)", nil) else { return nil }
        defer { free(name) }
        return String(cString: name)
    }

    /// The macros of the tests take no value that cannot be copied.
    private func received(_ socket: borrowing Descriptor, limit: Int) throws -> DescriptorMessage {
        guard let message = try DescriptorMessage.receive(from: socket.number, limit: limit) else {
            throw SystemError("recvmsg", code: EPIPE)
        }
        return message
    }

    private func opened(_ paths: [String]) throws -> [Int32] {
        try paths.map { path in try retrying("open", subject: path) { open(path, O_RDONLY | O_CLOEXEC) } }
    }

    @Test func `the bytes come whole and the descriptors in their order, closed to programs that are executed`() throws
    {
        let ends = try DescriptorMessage.socketPair()
        let paths = ["/etc/passwd", "/dev/null", "/usr"]
        let numbers = try opened(paths)
        try DescriptorMessage.send([1, 0, 2], numbers, to: ends.writer.number)
        for number in numbers { close(number) }
        var message = try received(ends.reader, limit: 3)
        let (bytes, count) = (message.bytes, message.count)
        #expect(bytes == [1, 0, 2] && count == 3)
        for (index, path) in paths.enumerated() {
            let descriptor = message.take(index)
            #expect(file(descriptor.number) == path)
            #expect(fcntl(descriptor.number, F_GETFD) == FD_CLOEXEC)
        }
    }

    @Test func `what is too long for its reader is refused, and leaves no descriptor open`() throws {
        let ends = try DescriptorMessage.socketPair()
        let pipe = try Pipe()
        let writer = dup(pipe.writer.number)
        try DescriptorMessage.send([1, 2], [writer], to: ends.writer.number)
        close(writer)
        #expect(throws: SystemError.self) { _ = try DescriptorMessage.receive(from: ends.reader.number, limit: 1) }
        try expectClosed(pipe)
    }

    @Test func `a descriptor that nobody takes is closed with its message`() throws {
        let ends = try DescriptorMessage.socketPair()
        let pipe = try Pipe()
        try DescriptorMessage.send([1], [pipe.writer.number, pipe.writer.number], to: ends.writer.number)
        do {
            var message = try received(ends.reader, limit: 1)
            _ = message.take(1)
        }
        try expectClosed(pipe)
    }

    /// That of the pipe's writing end no other descriptor is left: without this one there is the end of file.
    private func expectClosed(_ pipe: consuming Pipe) throws {
        pipe.writer = Descriptor(adopting: -1)
        var byte: UInt8 = 0
        #expect(read(pipe.reader.number, &byte, 1) == 0)
    }

    @Test func `what does not fit into the socket is not sent by half`() throws {
        let ends = try DescriptorMessage.socketPair()
        #expect(throws: SystemError.self) {
            try DescriptorMessage.send([UInt8](repeating: 0, count: 8 << 20), [], to: ends.writer.number)
        }
        #expect(throws: SystemError.self) {
            let many = [Int32](repeating: 0, count: Int(CMESSAGE_DESCRIPTORS) + 1)
            try DescriptorMessage.send([1], many, to: ends.writer.number)
        }
        try DescriptorMessage.send([3], [], to: ends.writer.number)
        let message = try received(ends.reader, limit: 1)
        let (bytes, count) = (message.bytes, message.count)
        #expect(bytes == [3] && count == 0)
    }

    @Test func `the end of the other side is nil, whether or not it had read what came`() throws {
        for leavesUnread in [false, true] {
            var ends = try DescriptorMessage.socketPair()
            if leavesUnread { try DescriptorMessage.send([0], [], to: ends.reader.number) }
            ends.writer = Descriptor(adopting: -1)
            let isEnd = try DescriptorMessage.receive(from: ends.reader.number, limit: 1) == nil
            #expect(isEnd)
            #expect(throws: SystemError.self) { try DescriptorMessage.send([0], [], to: ends.reader.number) }
        }
    }
}
