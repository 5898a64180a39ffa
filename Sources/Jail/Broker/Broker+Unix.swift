import CLinux
import Contracts
import Glibc
import LinuxSystem

/// A connection to a Unix socket whose backlog was full.
struct QueuedConnection {
    var call: cbroker_call
    var inode: Int64
    /// The address: of /proc/self/fd, or an abstract name.
    var address: [UInt8]
    /// What the address names; -1 for an abstract one.
    var place: Int32
    var target: String

    /// Between two tries, in milliseconds: the kernel has no way to wait for a place in a backlog but connect(2) itself.
    static let pause: Int64 = 5

    func close() { if place >= 0 { _ = Glibc.close(place) } }
}

extension Broker {
    /// Connects to a Unix socket that the command itself has made, in one of its folders.
    ///
    /// The path is opened beneath the folder, so no link or rename leads out of it, and what was opened is what is
    /// connected to. That it is the command's own is known once connected: the kernel tells who called listen(2), and
    /// that was the broker. So the broker connects a socket that the caller does not have, looks, and only then puts it
    /// in the place of the caller's.
    func connectUnix(_ call: cbroker_call, _ socket: BrokeredSocket, _ path: [UInt8]) {
        guard let absolute = Self.absolute(path, call.pid) else {
            refuse(call, .unseen, "")
            return
        }
        let target = String(decoding: absolute.prefix(200), as: UTF8.self)
        let place = grants.open(absolute)
        switch place {
        case 0...:
            let name = Array("/proc/self/fd/\(place)".utf8)
            connect(
                QueuedConnection(
                    call: call, inode: socket.inode, address: [UInt8(AF_UNIX), 0] + name + [0], place: place,
                    target: target))
        case -EXDEV:
            // What is not there is nobody's: glibc asks for /var/run/nscd/socket whenever a name is looked up.
            if (absolute + [0]).withUnsafeBytes({
                cbroker_is_missing($0.assumingMemoryBound(to: CChar.self).baseAddress)
            })
                == 1
            {
                _ = finish(call.id, -ENOENT)
            } else {
                refuse(call, .unixConnect, target)
            }
        default: _ = finish(call.id, place)
        }
    }

    func connectAbstract(_ call: cbroker_call, _ socket: BrokeredSocket, _ name: [UInt8]) {
        let target = "@" + String(decoding: name.dropFirst().prefix(200), as: UTF8.self)
        connect(
            QueuedConnection(
                call: call, inode: socket.inode, address: [UInt8(AF_UNIX), 0] + name, place: -1, target: target))
    }

    /// The inode of the socket at a place, or of an abstract name; see `cbroker_find_unix`.
    func unixSocket(_ type: Int32, _ place: Int32, _ address: [UInt8]) -> Int64 {
        Array(address.dropFirst(2)).withUnsafeBufferPointer {
            cbroker_find_unix(diagnosis.number, type, place, $0.baseAddress, Int32($0.count))
        }
    }

    static func absolute(_ path: [UInt8], _ pid: Int32) -> [UInt8]? {
        if path.first == UInt8(ascii: "/") { return path }
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { buffer in
            let count = cbroker_process_link(pid, "cwd", buffer.baseAddress, PATH_MAX)
            guard count > 0 else { return nil }
            return buffer.prefix(Int(count)).map { UInt8(bitPattern: $0) } + [UInt8(ascii: "/")] + path
        }
    }

    func retryQueued() {
        guard !queued.isEmpty else { return }
        let waiting = queued
        queued = []
        for connection in waiting {
            if cbroker_is_waiting(listener.number, connection.call.id) == 1 {
                connect(connection)
            } else {
                connection.close()
            }
        }
    }

    private func connect(_ connection: QueuedConnection) {
        guard let socket = socket(connection.inode) else {
            connection.close()
            _ = finish(connection.call.id, -EINVAL)
            return
        }
        if cbroker_has_name(socket.descriptor) == 1, isOwnServer(connection) {
            let result = cbroker_connect(socket.descriptor, connection.address, Int32(connection.address.count))
            if wait(connection, socket, result) { return }
            if result == 0 { drop(socket) }
            connection.close()
            _ = finish(connection.call.id, result)
            return
        }
        let number = cbroker_socket(AF_UNIX, socket.type | SocketType.nonBlocking, 0)
        guard number >= 0 else {
            connection.close()
            _ = finish(connection.call.id, number)
            return
        }
        let fresh = Descriptor(adopting: number)
        let result = cbroker_connect(number, connection.address, Int32(connection.address.count))
        if wait(connection, socket, result) { return }
        defer { connection.close() }
        // Landlock's scope, and EACCES by the file's mode, are refusals of the jail as well.
        guard result == 0 ? cbroker_listened(number) == 1 : result != -EPERM else {
            refuse(connection.call, .unixConnect, connection.target)
            return
        }
        if result < 0 {
            _ = finish(connection.call.id, result)
            return
        }
        hand(fresh.number, to: connection, socket)
    }

    /// Whether the call has to wait for a place in a backlog that is full, or was interrupted while it did.
    private func wait(_ connection: QueuedConnection, _ socket: BrokeredSocket, _ result: Int32) -> Bool {
        guard result == -EAGAIN, !socket.isNonBlocking else { return false }
        if cbroker_has_signal(connection.call.pid) == 1 {
            connection.close()
            _ = finish(connection.call.id, -EINTR)
        } else {
            queued.append(connection)
        }
        return true
    }

    /// Whether it is known, without a connection, that a listener is the command's own: the caller has bound a name of its
    /// own, which only its own socket can show to the peer, and who accepts must see it once.
    ///
    /// A file's socket stays the same, and an abstract name can be taken only by one of the same domain. Not known where
    /// the kernel does not say, or of a listener that 64 others have followed: then `hand` connects twice.
    private func isOwnServer(_ connection: QueuedConnection) -> Bool {
        let inode = unixSocket(SocketType.stream, connection.place, connection.address)
        return inode > 0 && listened.contains(inode)
    }

    private func hand(_ fresh: Int32, to connection: QueuedConnection, _ socket: BrokeredSocket) {
        let call = connection.call
        if cbroker_has_name(socket.descriptor) == 1 {
            // The peer is to see its name: so it must be the caller's own. What `fresh` has shown holds for it: a path's
            // socket does not change, and an abstract name can be taken only by one of the same domain.
            let result = cbroker_connect(
                socket.descriptor, connection.address, Int32(connection.address.count))
            if result == 0 { drop(socket) }
            _ = finish(call.id, result)
            return
        }
        cbroker_copy_options(socket.descriptor, fresh)
        if !socket.isNonBlocking { _ = fcntl(fresh, F_SETFL, fcntl(fresh, F_GETFL) & ~O_NONBLOCK) }
        let number = Int32(truncatingIfNeeded: call.arguments.0)
        let result = cbroker_replace(
            listener.number, call.id, fresh, number, cbroker_closes_on_exec(call.pid, number))
        if result >= 0 { drop(socket) }
        _ = finish(call.id, result < 0 ? result : 0)
    }
}
