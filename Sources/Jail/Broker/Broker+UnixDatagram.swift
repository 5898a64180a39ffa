import CLinux
import Contracts
import Glibc
import LinuxSystem

/// Where a Unix socket is to be found.
struct UnixPlace {
    /// What the address names; -1 for an abstract one.
    let descriptor: Int32
    /// Of /proc/self/fd, or the abstract name.
    let address: [UInt8]
    /// As the caller named it.
    let target: String

    func close() { if descriptor >= 0 { _ = Glibc.close(descriptor) } }
}

/// Unix datagrams among the processes of one command, and to nobody else.
///
/// The sockets are mute, as those of UDP are, and the broker sends for them: by a socket without a name, for no two sockets
/// can have one. So a receiver gets the datagram and not the sender's name, nor descriptors or credentials with it.
extension Broker {
    /// socketpair(2) of datagrams: each end of such a pair would still send to any path. Of packets no end does (`unix(7)`:
    /// SOCK_SEQPACKET keeps the boundaries of messages, and its address is passed over), so a pair of those is given.
    func makePair(_ call: cbroker_call) {
        let flags = Int32(truncatingIfNeeded: call.arguments.1)
        guard Int32(truncatingIfNeeded: call.arguments.2) == 0 else {
            _ = finish(call.id, -EPROTONOSUPPORT)
            return
        }
        let type = SocketType.packets | flags & SocketType.nonBlocking
        let result = cbroker_give_pair(
            listener.number, call.id, call.pid, call.arguments.3, type, flags & SocketType.closeOnExec == 0 ? 0 : 1)
        _ = finish(call.id, min(0, result))
    }

    /// connect(2). The kernel is not told: a socket that is connected takes datagrams from its peer's own socket only.
    func connectMuteUnix(_ call: cbroker_call, _ socket: BrokeredSocket, _ bytes: [UInt8]) {
        do throws(SendFailure) {
            let place = try unixPlace(call, bytes)
            do throws(SendFailure) { try check(call, place) } catch {
                place.close()
                throw error
            }
            socket.unixPeer?.close()
            socket.unixPeer = place
            _ = finish(call.id, 0)
        } catch {
            _ = finish(call.id, error.code)
        }
    }

    /// Opens what an address names, beneath the command's folders. To be closed.
    func unixPlace(_ call: cbroker_call, _ bytes: [UInt8]) throws(SendFailure) -> UnixPlace {
        switch SocketAddress(bytes, family: AF_UNIX) {
        case .abstract(let name):
            let target = "@" + String(decoding: name.dropFirst().prefix(200), as: UTF8.self)
            return UnixPlace(descriptor: -1, address: [UInt8(AF_UNIX), 0] + name, target: target)
        case .path(let path):
            guard let absolute = Self.absolute(path, call.pid) else { throw SendFailure(code: -EACCES) }
            guard cbroker_is_waiting(listener.number, call.id) == 1 else { throw SendFailure(code: -EINTR) }
            let target = String(decoding: absolute.prefix(200), as: UTF8.self)
            let place = grants.open(absolute)
            guard place >= 0 else {
                let isMissing = (absolute + [0]).withUnsafeBytes {
                    cbroker_is_missing($0.assumingMemoryBound(to: CChar.self).baseAddress) == 1
                }
                guard place == -EXDEV, !isMissing else { throw SendFailure(code: isMissing ? -ENOENT : place) }
                throw refusal(of: call, target)
            }
            let name = Array("/proc/self/fd/\(place)".utf8)
            return UnixPlace(descriptor: place, address: [UInt8(AF_UNIX), 0] + name + [0], target: target)
        case .invalid(let code): throw SendFailure(code: -code)
        default: throw SendFailure(code: -EINVAL)
        }
    }

    /// Whether a datagram socket stands there that is the command's own.
    private func check(_ call: cbroker_call, _ place: UnixPlace) throws(SendFailure) {
        let inode = unixSocket(SocketType.datagram, place.descriptor, place.address)
        guard inode != 0 else { throw SendFailure(code: -ECONNREFUSED) }
        guard inode > 0, let socket = socket(inode), socket.isMute else { throw refusal(of: call, place.target) }
    }

    func send(
        _ call: cbroker_call, _ socket: BrokeredSocket, _ data: [UInt8], to place: UnixPlace
    ) throws(SendFailure) -> Int32 {
        try check(call, place)
        if socket.sender < 0 {
            socket.sender = try succeed(cbroker_socket(AF_UNIX, SocketType.datagram | SocketType.nonBlocking, 0))
        }
        return try succeed(
            cbroker_send(socket.sender, data, Int32(data.count), place.address, Int32(place.address.count)))
    }

    private func refusal(of call: cbroker_call, _ target: String) -> SendFailure {
        violations.add(.unixConnect, target: target, pid: call.pid, program: Self.program(call.pid))
        return SendFailure(code: -EACCES)
    }
}
