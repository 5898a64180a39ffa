import CLinux
import Contracts
import Glibc
import LinuxSystem

extension Broker {
    func connect(_ call: cbroker_call) {
        guard let inode = inode(call), let bytes = address(call) else { return }
        guard let socket = socket(inode) else {
            // What the broker does not know was connected before: by it, by accept(2), by socketpair(2). Just before may
            // have been by this very call, which a signal has interrupted and the kernel makes again, however often.
            _ = finish(call.id, connected.contains(inode) ? 0 : -EISCONN)
            return
        }
        switch SocketAddress(bytes, family: socket.family) {
        case .invalid(let code): _ = finish(call.id, -code)
        case .path where socket.isMute, .abstract where socket.isMute: connectMuteUnix(call, socket, bytes)
        case .path(let path): connectUnix(call, socket, path)
        case .abstract(let name): connectAbstract(call, socket, name)
        case .unspecified:
            socket.peer = nil
            socket.unixPeer?.close()
            socket.unixPeer = nil
            if isBoundTowards(socket) {
                // It stands on an address of the pod: the kernel goes on taking datagrams from that peer only.
                _ = finish(call.id, 0)
                return
            }
            _ = finish(call.id, cbroker_connect(socket.descriptor, bytes, Int32(bytes.count)))
        case .internet(let address, let port, let scope) where socket.isMute:
            _ = finish(call.id, connectMute(socket, address, port, scope))
        case .internet(let address, let port, let scope):
            connectInternet(call, socket, address, port, scope)
        }
    }

    /// The socket that a call is about; nil if it was answered, because it is about none.
    func inode(_ call: cbroker_call) -> Int64? {
        let inode = cbroker_socket_inode(call.pid, Int32(truncatingIfNeeded: call.arguments.0))
        if inode >= 0 { return inode }
        if inode == Int64(-EBADF) || inode == Int64(-ENOTSOCK) {
            _ = finish(call.id, Int32(inode))
        } else {
            refuse(call, .unseen, "")
        }
        return nil
    }

    /// The caller's address, of 2 bytes at least; nil if the call was answered, or its caller has gone.
    func address(_ call: cbroker_call) -> [UInt8]? {
        let length = Int32(truncatingIfNeeded: call.arguments.2)
        guard (2...Int32(SocketAddress.longest)).contains(length) else {
            _ = finish(call.id, -EINVAL)
            return nil
        }
        var bytes = [UInt8](repeating: 0, count: Int(length))
        let result = cbroker_read(call.pid, call.arguments.1, &bytes, length)
        // Until here the pid could have become another process's.
        guard cbroker_is_waiting(listener.number, call.id) == 1 else { return nil }
        if result == 0 { return bytes }
        if result == -EFAULT {
            _ = finish(call.id, -EFAULT)
        } else {
            refuse(call, .unseen, "")
        }
        return nil
    }

    private func connectInternet(
        _ call: cbroker_call, _ socket: BrokeredSocket, _ address: IPAddress, _ port: UInt16, _ scope: UInt32
    ) {
        let family = socket.family
        let real = address.canonical
        if let own, socket.isStream, real.isLoopback, let target = ownServer(own, real, port) {
            // Mapped IPv4 is what the broker gives an IPv6 server.
            if family == AF_INET6 { _ = cbroker_take_mapped(socket.descriptor) }
            begin(call, socket, SocketAddress.bytes(target, port: port, family: family))
        } else if policy.allows(real, port) {
            // "Any" as a destination is this host (net/ipv4/route.c): asked and done for the same.
            let target = address.isUnspecified ? real : address
            begin(call, socket, SocketAddress.bytes(target, port: port, scope: scope, family: family))
        } else if own != nil, real.isLoopback {
            // To the command the loopback is its own, and nobody listens there. It is told of a refusal only where there is
            // something to be refused: who waits for his own server to listen meets nothing but the kernel's answer.
            if isSomebodyElses(real, port) {
                refuse(call, .connect, SocketAddress.text(real, port), with: ECONNREFUSED)
            } else {
                _ = finish(call.id, -ECONNREFUSED)
            }
        } else {
            refuse(call, .connect, SocketAddress.text(real, port))
        }
    }

    /// Connects, or leaves the call waiting until that is done.
    private func begin(_ call: cbroker_call, _ socket: BrokeredSocket, _ bytes: [UInt8]) {
        guard !socket.isDropped else {
            _ = finish(call.id, -EINVAL)
            return
        }
        if let waiting = socket.waiting {
            // Another thread's; or this one's own, interrupted by a signal and made again.
            guard cbroker_is_waiting(listener.number, waiting.id) == 0 else {
                _ = finish(call.id, -EALREADY)
                return
            }
            socket.waiting = nil
        }
        let result = cbroker_connect(socket.descriptor, bytes, Int32(bytes.count))
        guard result == -EINPROGRESS || result == -EALREADY else {
            end(socket, call.id, result)
            return
        }
        if !socket.isWatched {
            socket.isWatched = cbroker_watch(events.number, socket.descriptor, 1, socket.inode) == 0
        }
        if socket.isNonBlocking {
            _ = finish(call.id, result)
        } else {
            socket.waiting = BrokeredSocket.Waiting(
                id: call.id, pid: call.pid, address: bytes, until: socket.connectDeadline, code: result)
        }
    }

    /// Something has become of a connection that was on its way.
    func goOn(_ socket: BrokeredSocket) {
        guard let waiting = socket.waiting else {
            // Nobody waits: the error, if there is one, is left for the caller to ask for.
            if cbroker_is_connected(socket.descriptor) == 1 { drop(socket) } else { unwatch(socket) }
            return
        }
        let result = cbroker_connect(socket.descriptor, waiting.address, Int32(waiting.address.count))
        if result == -EALREADY { return }
        socket.waiting = nil
        end(socket, waiting.id, result == -EISCONN ? 0 : result)
    }

    private func end(_ socket: BrokeredSocket, _ id: UInt64, _ result: Int32) {
        if socket.isStream, result == 0 || result == -EISCONN {
            if result == 0 { connected.insert(socket.inode) }
            // Before the caller goes on: a socket that it closes then is closed.
            drop(socket)
        } else {
            unwatch(socket)
        }
        _ = finish(id, result)
    }

    private func unwatch(_ socket: BrokeredSocket) {
        guard socket.isWatched else { return }
        _ = cbroker_forget(events.number, socket.descriptor)
        socket.isWatched = false
    }
}
