import CLinux
import Glibc

/// A message with descriptors, between two processes of ours.
package struct DescriptorMessage: ~Copyable {
    package let bytes: [UInt8]
    /// In the order in which they were sent; -1 for one that has been taken.
    private var numbers: [Int32]

    /// How many descriptors came with it.
    package var count: Int { numbers.count }

    private init(bytes: [UInt8], numbers: [Int32]) {
        self.bytes = bytes
        self.numbers = numbers
    }

    deinit {
        for number in numbers where number >= 0 { _ = close(number) }
    }

    /// Gives a descriptor away.
    package mutating func take(_ index: Int) -> Descriptor {
        let number = numbers[index]
        numbers[index] = -1
        return Descriptor(adopting: number)
    }

    /// Both ends of a new socket for such messages.
    ///
    /// - Throws: `SystemError`.
    package static func socketPair() throws(SystemError) -> Pipe {
        var ends: [Int32] = [-1, -1]
        let result = cmessage_pair(&ends)
        guard result == 0 else { throw SystemError("socketpair", code: -result) }
        return Pipe(reader: Descriptor(adopting: ends[0]), writer: Descriptor(adopting: ends[1]))
    }

    /// Sends a message without waiting: it is taken whole, or this throws and nothing was sent.
    ///
    /// - Throws: `SystemError`: EMSGSIZE or EAGAIN if it is too long for the socket, EPIPE if nobody is there.
    package static func send(_ bytes: [UInt8], _ descriptors: [Int32], to socket: Int32) throws(SystemError) {
        let result = cmessage_send(socket, bytes, Int32(bytes.count), descriptors, Int32(descriptors.count))
        guard result == 0 else { throw SystemError("sendmsg", code: -result) }
    }

    /// Waits for a message of at most `limit` bytes.
    ///
    /// - Returns: nil if the other side has gone.
    /// - Throws: `SystemError`; EMSGSIZE if it is longer.
    package static func receive(from socket: Int32, limit: Int) throws(SystemError) -> DescriptorMessage? {
        var numbers = [Int32](repeating: -1, count: Int(CMESSAGE_DESCRIPTORS))
        var count: Int32 = 0
        var size: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, initialized in
            size = cmessage_receive(socket, buffer.baseAddress, Int32(limit), &numbers, &count)
            initialized = max(0, Int(size))
        }
        // What we had sent, and the other side had not read when it went, makes the end a reset (unix(7)).
        if size == -ECONNRESET { return nil }
        guard size >= 0 else { throw SystemError("recvmsg", code: -size) }
        return size == 0 ? nil : DescriptorMessage(bytes: bytes, numbers: Array(numbers.prefix(Int(count))))
    }
}
