import CLinux
import Contracts
import Glibc
import LinuxSystem

/// Where the descriptors of a command's datagram sockets stand: 768 to 1023, below select(2)'s limit.
///
/// The filter sees a descriptor's number and not what it is. By these numbers it knows which calls to hand to the broker,
/// and every other write(2) and send(2) costs nothing. Nothing depends on it for safety: see `Broker.mute`.
enum DatagramNumbers {
    static let range: Range<Int32> = 768..<1024

    /// That an argument is none of them.
    static func lacks(argument: Int) -> ArgumentTest {
        ArgumentTest(argument: argument, mask: ~UInt32(0xff), isEqual: false, value: UInt32(range.lowerBound))
    }
}

/// UDP among the commands of a job, to what the policy allows, and to nobody else.
///
/// A datagram's address lies in the caller's memory, so the kernel must not be let read it after the broker has looked:
/// another thread could change it. And the kernel cannot be told "only to these": Landlock has no rule for datagrams, and a
/// filter sees no memory. So the sockets that a command gets are mute: the kernel refuses every send on them, for good,
/// whoever has them and under whatever number. What the command sends, the broker sends from a socket of its own that has
/// the same address, with its own copy of datagram and address.
extension Broker {
    /// - Returns: whether the socket is mute, and whether that means on this kernel what it should.
    func mute(_ descriptor: Int32, _ family: Int32, _ proto: Int32) -> Bool {
        let can = canMute[[family, proto]] ?? (cbroker_can_mute(family, proto) == 1)
        canMute[[family, proto]] = can
        return can && cbroker_mute(descriptor) == 0
    }

    /// Gives the caller the socket, under a number by which the filter knows it. Where there is none to be had (all 256 are
    /// taken, or RLIMIT_NOFILE is lower) it gets another, and only receives.
    func giveMute(_ call: cbroker_call, _ descriptor: Int32, _ closesOnExec: Int32) -> Int32 {
        let number = DatagramNumbers.range.reversed().first { cbroker_socket_inode(call.pid, $0) == Int64(-EBADF) }
        if let number {
            let result = cbroker_give_as(listener.number, call.id, descriptor, number, closesOnExec)
            if result >= 0 || result == -ENOENT { return result }
        }
        return cbroker_give(listener.number, call.id, descriptor, closesOnExec)
    }

    /// Binds the caller's socket to an address of the job's own, and beside it the one that sends.
    ///
    /// The kernel gives what arrives at the address to the caller's, since the other is connected: to a port that nobody of
    /// the job's sends from. The other takes the port for itself alone (no SO_REUSEADDR, no SO_REUSEPORT), whatever the
    /// caller has set: as long as it is there, nobody else can take it on "any", and get what the caller's does not take.
    func bindMute(_ socket: BrokeredSocket, _ place: IPAddress, _ port: UInt16) -> Int32 {
        let asked = cbroker_shares(socket.descriptor)
        guard asked >= 0 else { return asked }
        let sender = datagramSocket(socket.family, socket.proto)
        guard sender >= 0 else { return sender }
        // Fails where somebody has the port already, on "any" too.
        var result = bindHere(sender, SocketAddress.bytes(place, port: port, family: socket.family))
        let bytes = SocketAddress.bytes(place, port: Self.port(sender) ?? port, family: socket.family)
        let nowhere = SocketAddress.bytes(
            place.isV4 ? .loopback : IPAddress("::1") ?? .loopback, port: 1, family: socket.family)
        let shared = Int32(CBROKER_SHARES_ADDRESS)
        if result == 0 { result = cbroker_connect(sender, nowhere, Int32(nowhere.count)) }
        if result == 0 { result = cbroker_share(sender, shared) }
        if result == 0 { result = cbroker_share(socket.descriptor, shared) }
        if result == 0 { result = bindHere(socket.descriptor, bytes) }
        _ = cbroker_share(socket.descriptor, asked)
        if result == 0 { result = cbroker_share(sender, 0) }
        if result == 0 { socket.sender = sender } else { _ = close(sender) }
        return result
    }

    /// Binds the caller's socket to the address that the kernel chooses for what is sent to `address`.
    ///
    /// Then it is connected, whether the caller has asked for that or not: it stands on an address of the pod, and is to
    /// receive from there only.
    func bindMute(_ socket: BrokeredSocket, towards address: IPAddress, _ port: UInt16, _ scope: UInt32) -> Int32 {
        let target = SocketAddress.bytes(address, port: port, scope: scope, family: socket.family)
        let probe = datagramSocket(socket.family, socket.proto)
        guard probe >= 0 else { return probe }
        defer { _ = close(probe) }
        var result = cbroker_connect(probe, target, Int32(target.count))
        guard result == 0 else { return result }
        guard let place = Self.name(probe, socket.family) else { return -EADDRNOTAVAIL }
        result = bindMute(socket, place, 0)
        guard result == 0 else { return result }
        socket.bound = (place, Self.port(socket.descriptor) ?? 0)
        return cbroker_connect(socket.descriptor, target, Int32(target.count))
    }

    func isBoundTowards(_ socket: BrokeredSocket) -> Bool {
        guard socket.isMute, let bound = socket.bound else { return false }
        return bound.address != own?.v4 && bound.address != own?.v6
    }

    /// The address that a socket has.
    private static func name(_ descriptor: Int32, _ family: Int32) -> IPAddress? {
        var bytes = [UInt8](repeating: 0, count: SocketAddress.longest)
        var length = socklen_t(bytes.count)
        let result = bytes.withUnsafeMutableBytes { buffer in
            buffer.withMemoryRebound(to: sockaddr.self) { getsockname(descriptor, $0.baseAddress, &length) }
        }
        guard result == 0,
            case .internet(let address, _, _) = SocketAddress(Array(bytes.prefix(Int(length))), family: family)
        else { return nil }
        return address.canonical
    }

    private func datagramSocket(_ family: Int32, _ proto: Int32) -> Int32 {
        let descriptor = cbroker_socket(family, SocketType.datagram | SocketType.nonBlocking, proto)
        if descriptor >= 0, family == AF_INET6 { _ = cbroker_take_mapped(descriptor) }
        return descriptor
    }

    /// connect(2): nothing is sent by it. Programs also ask so which address they would have, and look it up then.
    func connectMute(_ socket: BrokeredSocket, _ address: IPAddress, _ port: UInt16, _ scope: UInt32) -> Int32 {
        let real = address.canonical
        var bytes = SocketAddress.bytes(address, port: port, scope: scope, family: socket.family)
        // Nil: none of the job's own addresses is meant.
        var place: IPAddress?
        if let own, real.isLoopback {
            if case .own(let found) = receiver(own, real, port, from: socket) {
                place = found
            } else if !policy.allows(real, port) {
                place = places(own, real)[0]
            }
        }
        if socket.bound == nil {
            var result: Int32 = 0
            if let own, place != nil {
                result = bindOwn(socket, own, real, 0)
            } else if policy.allows(real, port) {
                result = bindMute(socket, towards: real, port, scope)
            }
            if result < 0 { return result }
        }
        if let place { bytes = SocketAddress.bytes(place, port: port, family: socket.family) }
        let result = cbroker_connect(socket.descriptor, bytes, Int32(bytes.count))
        if result == 0 { socket.peer = (place ?? real, port) }
        return result
    }

    enum DatagramReceiver {
        case own(IPAddress)
        case nobody
        case somebodyElse
    }

    /// Which of the job's own addresses are meant by an address of the loopback.
    private func places(_ own: OwnLoopback, _ address: IPAddress) -> [IPAddress] {
        address == own.v6 ? [own.v6] : address.isV4 ? [own.v4] : [own.v6, own.v4]
    }

    /// Who gets a datagram to this address of the loopback.
    ///
    /// One of this command's is known. One of another command's is what stands on exactly such an address: nobody else binds
    /// there. Neither need take the datagram, for its owner can connect it to something else, and then it would be for
    /// somebody else who has the port on "any": so there must be nobody. While one of the job's is there nobody can come, see
    /// `bindMute`.
    func receiver(
        _ own: OwnLoopback, _ address: IPAddress, _ port: UInt16, from socket: BrokeredSocket
    ) -> DatagramReceiver {
        let places = places(own, address)
        func who(_ place: IPAddress) -> (isThere: Bool, isExact: Bool) {
            let from = socket.bound ?? (own.v4, 0)
            var isExact: Int32 = 0
            let family = cbroker_find_receiver(
                diagnosis.number, socket.proto == 0 ? Int32(IPPROTO_UDP) : socket.proto, from.address.bytes,
                Int32(from.port), place.bytes, Int32(port), &isExact)
            return (family > 0, isExact == 1)
        }
        if who(.nobodys).isThere { return .somebodyElse }
        let mine = sockets.filter { $0.isMute && $0.isLite == socket.isLite && $0.bound?.port == port }
        for place in places where mine.contains(where: { $0.bound?.address == place }) { return .own(place) }
        for place in places where who(place).isExact { return .own(place) }
        return who(address.isV4 ? address : .loopback).isThere ? .somebodyElse : .nobody
    }
}
