import CLinux
package import Contracts
import Glibc
package import LinuxSystem

/// Makes the command's sockets and System V objects, and decides about each connection, address and listener of theirs.
///
/// The filter hands every socket(2), connect(2), bind(2) and listen(2) of the command to the janitor (seccomp's user
/// notification). The broker makes the socket itself, gives a copy of the descriptor to the caller and keeps one; what
/// the caller then asks for, the broker does on *its* descriptor, with *its* copy of the address. So there is nothing
/// that could be changed between the decision and the deed, and the socket stays the same to the caller: its options,
/// its duplicates, its place in an epoll set. For the command itself Landlock refuses every TCP connection and
/// address. A Unix socket is the exception: see `connectUnix`.
///
/// A socket is recognised by its inode. Should a caller put another one under the number meanwhile, it is still one of
/// its own, and one that the decision was right for.
///
/// One thread, no wait: what takes its time (a connection, a full backlog) is left and taken up again when `descriptor`
/// is readable or `wake` has come. Memory: at most `limit` sockets; each refusal is counted in `violations`.
package final class Broker {
    /// Readable when there is something for `serve` to do.
    package var descriptor: Int32 { events.number }
    package internal(set) var violations = JailViolations()

    let policy: NetworkPolicy
    /// Where the command's servers stand; nil if it can have none.
    let own: OwnLoopback?
    let grants: BrokerFolders
    let listener: Descriptor
    let events: Descriptor
    var sockets: [BrokeredSocket] = []
    /// Connections to Unix sockets whose backlog is full.
    var queued: [QueuedConnection] = []
    /// Calls that send a datagram for which there is no room yet.
    var delayed: [cbroker_call] = []
    /// Sockets that are listening, and that were connected, and are the command's alone since: by inode.
    var listened = RecentInodes()
    var connected = RecentInodes()
    /// By which the kernel says who listens; -1 where it does not.
    let diagnosis: Descriptor
    var objects = SystemVObjects()
    /// Whether a datagram socket of a family and a protocol can be muted on this kernel, once it was tried.
    var canMute: [[Int32]: Bool] = [:]
    private var nextSweep = Deadline.never
    private var sweepAt = 64

    /// Sockets without a connection that a command may have at once; EMFILE after that.
    package static let limit = 1024
    /// Calls in one go, so that the janitor looks at its time limits in between.
    private static let turn = 64
    private static let sweepInterval: Int64 = 1000
    /// For one look at who holds what, in microseconds; what is not found by then is kept. A command that has opened
    /// hundreds of thousands of descriptors delays neither its time limit nor its memory's.
    private static let sweepBudget: Int64 = 10_000
    /// For one turn, in milliseconds, beside the call that it is at.
    static let turnTime: Int64 = 10
    /// Between two looks at whether a caller whose connection takes long has a signal to handle, in milliseconds.
    private static let signalPause: Int64 = 50
    private static let listenerToken = Int64.max

    /// - Throws: `SystemError` if the janitor has no descriptors left.
    package init(_ request: JailRequest, listener: consuming Descriptor) throws(SystemError) {
        let number = cbroker_set()
        guard number >= 0 else { throw SystemError("epoll_create1", code: -number) }
        let events = Descriptor(adopting: number)
        let result = cbroker_watch(number, listener.number, 0, Self.listenerToken)
        guard result == 0 else { throw SystemError("epoll_ctl", code: -result) }
        self.listener = listener
        self.events = events
        diagnosis = Descriptor(adopting: max(-1, cbroker_diagnosis()))
        policy = request.network
        own = request.listening.own
        grants = BrokerFolders(request)
        // Each unconnected socket of the command is one of ours too. After the fork: the command's own limit stays.
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            limit.rlim_cur = limit.rlim_max
            _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        }
    }

    deinit {
        for socket in sockets { socket.close() }
        for connection in queued { connection.close() }
    }

    /// When to serve though nothing is readable.
    package var wake: Deadline {
        var result =
            queued.isEmpty && delayed.isEmpty
            ? nextSweep : nextSweep.sooner(.after(milliseconds: QueuedConnection.pause))
        for socket in sockets {
            guard let waiting = socket.waiting else { continue }
            result = result.sooner(waiting.until).sooner(.after(milliseconds: Self.signalPause))
        }
        return result
    }

    /// Does what there is to do now, without waiting.
    package func serve() {
        let end = Deadline.after(milliseconds: Self.turnTime)
        for _ in 0..<Self.turn where !end.hasPassed {
            let token = cbroker_next(events.number)
            if token == 0 { break }
            if token == -Self.listenerToken {
                // Every process of the filter has gone.
                _ = cbroker_forget(events.number, listener.number)
            } else if token == Self.listenerToken {
                var call = cbroker_call()
                if cbroker_receive(listener.number, &call) == 0 { answer(call) }
            } else if let socket = socket(abs(token)) {
                goOn(socket)
            }
        }
        retryQueued()
        retryDelayed()
        for socket in sockets {
            guard let waiting = socket.waiting else { continue }
            // As the kernel does, in both cases: the connection stays on its way.
            if waiting.until.hasPassed {
                socket.waiting = nil
                _ = finish(waiting.id, waiting.code)
            } else if cbroker_has_signal(waiting.pid) == 1 {
                socket.waiting = nil
                _ = finish(waiting.id, -EINTR)
            }
        }
        if nextSweep.hasPassed { sweep() }
    }

    private func answer(_ call: cbroker_call) {
        switch Int(call.number) {
        case CJAIL_SOCKET: makeSocket(call)
        case CJAIL_CONNECT: connect(call)
        case CJAIL_BIND: bind(call)
        case CJAIL_LISTEN: listen(call)
        case CJAIL_SOCKETPAIR: makePair(call)
        case CJAIL_SENDTO, CJAIL_SENDMSG, CJAIL_SENDMMSG, CJAIL_WRITE: send(call)
        // The filter notifies of nothing else.
        default: if !answerSystemV(call) { _ = finish(call.id, -EPERM) }
        }
    }

    // MARK: Answers

    /// Ends a call with 0 or with an error (negative); false if its caller has gone or was interrupted.
    func finish(_ id: UInt64, _ result: Int32) -> Bool {
        cbroker_answer(listener.number, id, 0, result < 0 ? -result : 0) == 0
    }

    /// Ends a call with a result that is not 0.
    func give(_ id: UInt64, _ result: Int32) -> Bool { cbroker_answer(listener.number, id, Int64(result), 0) == 0 }

    /// Removes what of the command would outlive it. To be called when all its processes are gone.
    package func end() { objects.removeAll() }

    func refuse(_ call: cbroker_call, _ kind: JailViolation.Kind, _ target: String, with code: Int32 = EACCES) {
        violations.add(kind, target: target, pid: call.pid, program: Self.program(call.pid))
        _ = finish(call.id, -code)
    }

    static func program(_ pid: Int32) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 32) { buffer in
            let count = cbroker_process_file(pid, "comm", buffer.baseAddress, 32)
            let bytes = buffer.prefix(Int(max(0, count))).map { UInt8(bitPattern: $0) }
            return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        }
    }

    // MARK: The table

    func socket(_ inode: Int64) -> BrokeredSocket? { sockets.first { $0.inode == inode } }

    /// Gives our copy up: from now on the socket is the caller's alone.
    func drop(_ socket: BrokeredSocket) {
        guard !socket.isDropped else { return }
        socket.isDropped = true
        sockets.removeAll { $0 === socket }
        // By the descriptor, as long as there is one: an epoll set keeps a socket that others hold open.
        if socket.isWatched { _ = cbroker_forget(events.number, socket.descriptor) }
        socket.close()
    }

    func add(_ socket: BrokeredSocket) {
        sockets.append(socket)
        if nextSweep == .never { nextSweep = .after(milliseconds: Self.sweepInterval) }
    }

    /// Gives up what nobody in the command holds any more: a port is then free again, and a server that has ended is
    /// seen to have.
    func sweep() {
        let inodes = sockets.map(\.inode)
        var held = [UInt8](repeating: 0, count: inodes.count)
        if !inodes.isEmpty { cbroker_find_held(inodes, &held, Int32(inodes.count), Self.sweepBudget) }
        for (socket, held) in zip(sockets, held) where held == 0 && socket.waiting == nil { drop(socket) }
        sweepAt = max(64, sockets.count * 2)
        nextSweep = sockets.isEmpty ? .never : .after(milliseconds: Self.sweepInterval)
    }

    private func makeSocket(_ call: cbroker_call) {
        let family = Int32(truncatingIfNeeded: call.arguments.0)
        let flags = Int32(truncatingIfNeeded: call.arguments.1)
        let proto = Int32(truncatingIfNeeded: call.arguments.2)
        let type = flags & SocketType.mask
        guard let refusal = Self.refusal(family, type, proto) else {
            if sockets.count >= min(sweepAt, Self.limit) { sweep() }
            guard sockets.count < Self.limit else {
                _ = finish(call.id, -EMFILE)
                return
            }
            let number = cbroker_socket(family, flags & ~SocketType.closeOnExec, proto)
            var information = stat()
            guard number >= 0, fstat(number, &information) == 0 else {
                _ = finish(call.id, number < 0 ? number : -EMFILE)
                return
            }
            let closes: Int32 = flags & SocketType.closeOnExec == 0 ? 0 : 1
            let isMute = type == SocketType.datagram && (policy != .open || family == AF_UNIX)
            guard !isMute || mute(number, family, proto) else {
                _ = close(number)
                refuse(call, .socket, "a datagram socket", with: EPERM)
                return
            }
            let given = isMute ? giveMute(call, number, closes) : cbroker_give(listener.number, call.id, number, closes)
            if given < 0 {
                _ = close(number)
                return
            }
            let inode = Int64(information.st_ino)
            // A number that comes again, after 2^32 sockets, is a new socket's.
            listened.remove(inode)
            connected.remove(inode)
            let socket = BrokeredSocket(
                descriptor: number, inode: inode, family: family, type: type, proto: proto)
            socket.isMute = isMute
            add(socket)
            return
        }
        refuse(call, refusal.kind, refusal.target, with: EPERM)
    }

    /// Nil if there may be such a socket.
    private static func refusal(
        _ family: Int32, _ type: Int32, _ proto: Int32
    ) -> (kind: JailViolation.Kind, target: String)? {
        switch (family, type) {
        case (AF_UNIX, SocketType.stream), (AF_UNIX, SocketType.packets), (AF_UNIX, SocketType.datagram): nil
        // MPTCP (262) would go round Landlock and the broker's knowledge of TCP.
        case (AF_INET, SocketType.stream) where proto == 0 || proto == 6: nil
        case (AF_INET6, SocketType.stream) where proto == 0 || proto == 6: nil
        // UDP, and UDP-Lite (136).
        case (AF_INET, SocketType.datagram) where [0, 17, 136].contains(proto): nil
        case (AF_INET6, SocketType.datagram) where [0, 17, 136].contains(proto): nil
        default: (.socket, "a socket of family \(family), type \(type), protocol \(proto)")
        }
    }
}

/// Inodes of sockets that were given up lately.
struct RecentInodes {
    private var inodes: [Int64] = []
    private static let limit = 64

    mutating func insert(_ inode: Int64) {
        if inodes.count == Self.limit { inodes.removeFirst() }
        inodes.append(inode)
    }

    func contains(_ inode: Int64) -> Bool { inodes.contains(inode) }

    mutating func remove(_ inode: Int64) { inodes.removeAll { $0 == inode } }
}
