import CLinux
import Contracts
import Glibc
import LinuxSystem

extension Broker {
    func bind(_ call: cbroker_call) {
        let inode = cbroker_socket_inode(call.pid, Int32(truncatingIfNeeded: call.arguments.0))
        guard inode >= 0, let socket = socket(inode), socket.isInternet else {
            // The kernel decides: about a path by Landlock, whose refusal no trick with memory avoids, and a TCP address
            // it refuses. A UDP socket that is not known here cannot send, unless the network is open.
            // An abstract name is free once its socket is closed, and our copy of it may be all that is left.
            if sockets.contains(where: { $0.family == AF_UNIX && $0.inode != inode && $0.isNamed }) { sweep() }
            _ = cbroker_proceed(listener.number, call.id)
            return
        }
        guard let bytes = address(call) else { return }
        if socket.boundBytes == bytes {
            _ = finish(call.id, 0)
            return
        }
        switch SocketAddress(bytes, family: socket.family) {
        case .internet(let address, let port, _):
            let result: Int32
            if socket.isDatagram, !socket.isMute {
                result = bindHere(socket.descriptor, bytes)
            } else if let own, address.canonical.isLoopback {
                result = bindOwn(socket, own, address, port)
            } else {
                refuse(call, .bind, SocketAddress.text(address, port))
                return
            }
            if result == 0 { socket.boundBytes = bytes }
            _ = finish(call.id, result)
        case .invalid(let code): _ = finish(call.id, -code)
        default: _ = finish(call.id, -EAFNOSUPPORT)
        }
    }

    func bindHere(_ descriptor: Int32, _ bytes: [UInt8]) -> Int32 {
        let result = bytes.withUnsafeBytes { buffer in
            buffer.withMemoryRebound(to: sockaddr.self) { address in
                Glibc.bind(descriptor, address.baseAddress, socklen_t(bytes.count))
            }
        }
        return result == 0 ? 0 : -errno
    }

    func bindOwn(
        _ socket: BrokeredSocket, _ own: OwnLoopback, _ address: IPAddress, _ port: UInt16
    ) -> Int32 {
        guard socket.bound == nil else { return -EINVAL }
        var place = own.v4
        if socket.family == AF_INET6 {
            let isOnly = cbroker_take_mapped(socket.descriptor)
            if isOnly < 0 { return isOnly }
            // A dual server stands on the address of both families, as one on "any" does.
            if !address.canonical.isV4, !address.isUnspecified || isOnly == 1 { place = own.v6 }
        }
        var result = bind(socket, place, port)
        if result == -EADDRINUSE {
            // Perhaps only by our copy of a socket that its owner has closed.
            sweep()
            result = socket.isDropped ? -EINVAL : bind(socket, place, port)
        }
        guard result == 0 else { return result }
        socket.bound = (place, Self.port(socket.descriptor) ?? port)
        return 0
    }

    private func bind(_ socket: BrokeredSocket, _ place: IPAddress, _ port: UInt16) -> Int32 {
        socket.isMute
            ? bindMute(socket, place, port)
            : bindHere(socket.descriptor, SocketAddress.bytes(place, port: port, family: socket.family))
    }

    static func port(_ descriptor: Int32) -> UInt16? {
        withUnsafeTemporaryAllocation(byteCount: SocketAddress.longest, alignment: 8) { buffer in
            var length = socklen_t(SocketAddress.longest)
            let address = buffer.bindMemory(to: sockaddr.self).baseAddress
            guard getsockname(descriptor, address, &length) == 0, length >= 16 else { return nil }
            return UInt16(buffer[2]) << 8 | UInt16(buffer[3])
        }
    }

    func listen(_ call: cbroker_call) {
        guard let inode = inode(call) else { return }
        guard let socket = socket(inode) else {
            _ = finish(call.id, listened.contains(inode) ? 0 : -EINVAL)
            return
        }
        if socket.isInternet, !socket.isStream {
            _ = finish(call.id, -EOPNOTSUPP)
            return
        }
        // Without an address the kernel would take any, on all of the host's.
        if socket.isInternet, socket.bound == nil {
            guard let own else {
                refuse(call, .listen, "")
                return
            }
            let any = IPAddress(bytes: [UInt8](repeating: 0, count: socket.family == AF_INET ? 4 : 16))
            let result = bindOwn(socket, own, any ?? .loopback, 0)
            if result < 0 {
                _ = finish(call.id, result)
                return
            }
        }
        let result = Glibc.listen(socket.descriptor, Int32(truncatingIfNeeded: call.arguments.1)) == 0 ? 0 : -errno
        if result == 0, socket.isInternet {
            socket.isListening = true
            socket.holder = (call.pid, Int32(truncatingIfNeeded: call.arguments.0))
        } else if result == 0 {
            listened.insert(inode)
            drop(socket)
        }
        _ = finish(call.id, result)
    }

    /// Where one of the job's own servers takes connections to this loopback address and port.
    ///
    /// Something that listens on exactly such an address is a command's: nobody else binds there. It is reached rather
    /// than what may stand on "any", and as long as it is there nobody can take the port on "any" (EADDRINUSE).
    func ownServer(_ own: OwnLoopback, _ address: IPAddress, _ port: UInt16) -> IPAddress? {
        let mine = sockets.filter { $0.isListening && $0.bound?.port == port }
        // One of this command's may have ended, and be there only by our copy.
        if mine.contains(where: { !isHeld($0) }) { sweep() }
        for socket in mine where !socket.isDropped && socket.bound?.address == own.v6 {
            if !address.isV4 || address == own.v6 { return own.v6 }
        }
        for socket in mine where !socket.isDropped && socket.bound?.address == own.v4 {
            if address.isV4 || socket.family == AF_INET6 { return own.v4 }
        }
        // Of another command's it is not known that it is still there when the connection comes. So nobody may have the port
        // on "any" beside it, by SO_REUSEPORT.
        if isTakenOnAny(port) { return nil }
        func family(_ address: IPAddress) -> Int32 { listeningFamily(address, port) }
        if address == own.v6 || !address.isV4, family(own.v6) != 0 { return own.v6 }
        let dual = family(own.v4)
        return dual == 6 || dual == 4 && address.isV4 ? own.v4 : nil
    }

    /// Of what listens on exactly this address, 4 or 6; 0 for nothing.
    private func listeningFamily(_ address: IPAddress, _ port: UInt16) -> Int32 {
        var isExact: Int32 = 0
        let family = cbroker_find_listener(diagnosis.number, address.bytes, 4, Int32(port), &isExact)
        if family < 0 { return cbroker_listening_family(address.bytes, Int32(port)) }
        return isExact == 1 ? family : 0
    }

    /// Whether somebody outside of the job takes connections to this port, at this address or elsewhere on the pod's
    /// loopback. Where the kernel does not say, it is taken to be so.
    func isSomebodyElses(_ address: IPAddress, _ port: UInt16) -> Bool {
        [address, IPAddress("127.0.0.1"), IPAddress("::1")].compactMap(\.self).contains { address in
            var isExact: Int32 = 0
            let length = Int32(address.bytes.count)
            return cbroker_find_listener(diagnosis.number, address.bytes, length, Int32(port), &isExact) != 0
        }
    }

    private func isTakenOnAny(_ port: UInt16) -> Bool {
        var isExact: Int32 = 0
        return cbroker_find_listener(diagnosis.number, IPAddress.nobodys.bytes, 4, Int32(port), &isExact) > 0
    }

    private func isHeld(_ socket: BrokeredSocket) -> Bool {
        socket.holder.map { cbroker_socket_inode($0.pid, $0.descriptor) == socket.inode } ?? false
    }
}
