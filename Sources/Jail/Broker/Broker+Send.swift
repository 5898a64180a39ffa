import CLinux
import Contracts
import Glibc
import LinuxSystem

/// What a send ends with instead of a number of bytes: a negative error.
struct SendFailure: Error {
    let code: Int32
}

extension Broker {
    /// The longest datagram of UDP over IPv4, in bytes (udp(7)).
    private static let longestDatagram = 65507
    /// Parts of one datagram (UIO_MAXIOV), and datagrams of one call, that the kernel takes.
    private static let mostParts = 1024
    /// Bytes of struct msghdr and struct mmsghdr on 64-bit machines.
    private static let messageSize = 56
    private static let numberedMessageSize = 64

    /// sendto(2), sendmsg(2), sendmmsg(2) or write(2), on a number at which UDP sockets stand.
    ///
    /// On anything else the kernel goes on. Should the caller put another socket under the number meanwhile, it is one that
    /// the kernel sends by as it always does, or a mute one, by which it does not.
    func send(_ call: cbroker_call) {
        let inode = cbroker_socket_inode(call.pid, Int32(truncatingIfNeeded: call.arguments.0))
        guard inode >= 0, let socket = socket(inode), socket.isMute else {
            _ = cbroker_proceed(listener.number, call.id)
            return
        }
        do throws(SendFailure) {
            let result =
                switch Int(call.number) {
                case CJAIL_SENDMSG: try sendMessage(call, socket, call.arguments.1)
                case CJAIL_SENDMMSG: try sendMessages(call, socket)
                case CJAIL_SENDTO:
                    try send(
                        call, socket, read(call, call.arguments.1, call.arguments.2), call.arguments.4,
                        call.arguments.5)
                default: try send(call, socket, read(call, call.arguments.1, call.arguments.2), 0, 0)
                }
            _ = give(call.id, result)
        } catch {
            if error.code == -EAGAIN, !socket.isNonBlocking {
                delayed.append(call)
            } else {
                _ = finish(call.id, error.code)
            }
        }
    }

    /// As the kernel does: a call that waits for room ends with a signal that has a handler.
    func retryDelayed() {
        let end = Deadline.after(milliseconds: Self.turnTime)
        let calls = delayed
        delayed = []
        for (index, call) in calls.enumerated() {
            // The rest comes first the next time.
            if end.hasPassed {
                delayed = calls[index...] + delayed
                break
            }
            guard cbroker_is_waiting(listener.number, call.id) == 1 else { continue }
            if cbroker_has_signal(call.pid) == 1 { _ = finish(call.id, -EINTR) } else { send(call) }
        }
    }

    private func sendMessages(_ call: cbroker_call, _ socket: BrokeredSocket) throws(SendFailure) -> Int32 {
        // A part of them is an answer too, and who sends so many asks again for the rest.
        let end = Deadline.after(milliseconds: Self.turnTime)
        let wanted = Int32(min(call.arguments.2 & 0xffff_ffff, UInt64(Self.mostParts)))
        for index in 0..<wanted {
            if index > 0, end.hasPassed { return index }
            let message = call.arguments.1 &+ UInt64(index) * UInt64(Self.numberedMessageSize)
            do throws(SendFailure) {
                var count = try sendMessage(call, socket, message)
                // How much was sent stands behind the message.
                let result = cbroker_write(call.pid, message &+ UInt64(Self.messageSize), &count, 4)
                if result < 0 { throw SendFailure(code: -EFAULT) }
            } catch {
                // As the kernel does: the error of any but the first is left out.
                if index == 0 { throw error }
                return index
            }
        }
        return wanted
    }

    /// The datagram of a struct msghdr: name, its length, parts, their number, control data, its length.
    ///
    /// Control data is passed over, but for what would make several datagrams of one.
    private func sendMessage(
        _ call: cbroker_call, _ socket: BrokeredSocket, _ message: UInt64
    ) throws(SendFailure) -> Int32 {
        let header = try words(call, message, Self.messageSize / 8)
        guard header[3] <= UInt64(Self.mostParts) else { throw SendFailure(code: -EMSGSIZE) }
        if header[5] >= 16 {
            // Of struct cmsghdr the second word: SOL_UDP, and UDP_SEGMENT above it. The error is the kernel's where a
            // device cannot do it; programs then send one by one.
            let isSegmented = try words(call, header[4], 2)[1] == 103 << 32 | 17
            if isSegmented { throw SendFailure(code: -EIO) }
        }
        let parts = try words(call, header[2], Int(header[3]) * 2)
        var data: [UInt8] = []
        for part in 0..<Int(header[3]) {
            data += try read(call, parts[part * 2], parts[part * 2 + 1])
            guard data.count <= Self.longestDatagram else { throw SendFailure(code: -EMSGSIZE) }
        }
        return try send(call, socket, data, header[0], header[1])
    }

    private func read(_ call: cbroker_call, _ place: UInt64, _ count: UInt64) throws(SendFailure) -> [UInt8] {
        guard count <= UInt64(Self.longestDatagram) else { throw SendFailure(code: -EMSGSIZE) }
        var bytes = [UInt8](repeating: 0, count: Int(count))
        guard count == 0 || cbroker_read(call.pid, place, &bytes, Int32(count)) == 0 else {
            throw SendFailure(code: -EFAULT)
        }
        return bytes
    }

    private func words(_ call: cbroker_call, _ place: UInt64, _ count: Int) throws(SendFailure) -> [UInt64] {
        var words = [UInt64](repeating: 0, count: count)
        guard count == 0 || cbroker_read(call.pid, place, &words, Int32(count * 8)) == 0 else {
            throw SendFailure(code: -EFAULT)
        }
        return words
    }

    /// Sends to the address at `name`; if that is 0, to the socket's peer.
    private func send(
        _ call: cbroker_call, _ socket: BrokeredSocket, _ data: [UInt8], _ name: UInt64, _ length: UInt64
    ) throws(SendFailure) -> Int32 {
        guard name != 0 else {
            if let place = socket.unixPeer { return try send(call, socket, data, to: place) }
            guard let peer = socket.peer else { throw SendFailure(code: -EDESTADDRREQ) }
            return try send(call, socket, data, to: peer.address, peer.port, isPeer: true)
        }
        let length = Int32(truncatingIfNeeded: length)
        guard (2...Int32(SocketAddress.longest)).contains(length) else { throw SendFailure(code: -EINVAL) }
        let bytes = try read(call, name, UInt64(length))
        switch SocketAddress(bytes, family: socket.family) {
        case .internet(let address, let port, _):
            return try send(call, socket, data, to: address.canonical, port, isPeer: false)
        case .path, .abstract:
            let place = try unixPlace(call, bytes)
            defer { place.close() }
            return try send(call, socket, data, to: place)
        case .invalid(let code): throw SendFailure(code: -code)
        default: throw SendFailure(code: -EAFNOSUPPORT)
        }
    }

    /// - Returns: the number of bytes, as if they were sent, also where nobody gets them: UDP promises no more.
    private func send(
        _ call: cbroker_call, _ socket: BrokeredSocket, _ data: [UInt8], to address: IPAddress, _ port: UInt16,
        isPeer: Bool
    ) throws(SendFailure) -> Int32 {
        guard port != 0 else { throw SendFailure(code: -EINVAL) }
        // Until here the pid could have become another process's.
        guard cbroker_is_waiting(listener.number, call.id) == 1 else { throw SendFailure(code: -EINTR) }
        var receiver = DatagramReceiver.nobody
        if let own, address.isLoopback {
            receiver = self.receiver(own, address, port, from: socket)
            if case .own(let place) = receiver {
                if socket.bound == nil { try succeed(bindOwn(socket, own, address, 0)) }
                return try send(socket, data, to: place, port)
            }
        }
        if policy.allows(address, port) {
            if socket.bound == nil { try succeed(bindMute(socket, towards: address, port, 0)) }
            return try send(socket, data, to: address, port)
        }
        guard own != nil, address.isLoopback else { throw refusal(of: call, address, port, EACCES) }
        if case .somebodyElse = receiver { throw refusal(of: call, address, port, ECONNREFUSED) }
        // The kernel reports it to a socket that is connected, a moment later.
        if isPeer { throw SendFailure(code: -ECONNREFUSED) }
        return Int32(data.count)
    }

    private func send(
        _ socket: BrokeredSocket, _ data: [UInt8], to address: IPAddress, _ port: UInt16
    ) throws(SendFailure) -> Int32 {
        let target = SocketAddress.bytes(address, port: port, family: socket.family)
        return try succeed(cbroker_send(socket.sender, data, Int32(data.count), target, Int32(target.count)))
    }

    @discardableResult
    func succeed(_ result: Int32) throws(SendFailure) -> Int32 {
        if result < 0 { throw SendFailure(code: result) }
        return result
    }

    private func refusal(
        of call: cbroker_call, _ address: IPAddress, _ port: UInt16, _ code: Int32
    ) -> SendFailure {
        // Port 53 is the name servers'.
        violations.add(
            port == 53 ? .udp : .connect, target: SocketAddress.text(address, port) + " by UDP", pid: call.pid,
            program: Self.program(call.pid))
        return SendFailure(code: -code)
    }
}
