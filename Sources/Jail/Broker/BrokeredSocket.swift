import CLinux
import Contracts
import Glibc
import LinuxSystem

/// A socket of the command that is neither connected nor closed for good yet: the broker has made it and holds a
/// descriptor of the same socket.
final class BrokeredSocket {
    /// Ours.
    let descriptor: Int32
    /// By which the caller's descriptors are recognised (/proc/<pid>/fd).
    let inode: Int64
    let family: Int32
    /// Without flags: SOCK_STREAM, SOCK_SEQPACKET or SOCK_DGRAM.
    let type: Int32
    /// 0: the usual one of family and type.
    let proto: Int32

    /// A connect(2) of the command that waits for its end.
    struct Waiting {
        var id: UInt64
        var pid: Int32
        var address: [UInt8]
        /// By SO_SNDTIMEO, which bounds a connect(2) too (socket(7)).
        var until: Deadline
        /// What the call ends with then: EINPROGRESS of the first connect(2), EALREADY of another.
        var code: Int32
    }
    var waiting: Waiting?
    /// Whether its connection is on its way, and the broker is told of its end.
    var isWatched = false

    /// Its address, if the broker has given it one of the job's own.
    var bound: (address: IPAddress, port: UInt16)?
    /// Whether it cannot send: the broker sends what it is asked to, by `sender`, from the same address.
    var isMute = false
    /// -1 as long as there is none.
    var sender: Int32 = -1
    /// What a UDP socket was connected to.
    var peer: (address: IPAddress, port: UInt16)?
    /// What a Unix datagram socket was connected to.
    var unixPeer: UnixPlace?
    /// Who called listen(2) for it, and by which descriptor: mostly the one who holds it.
    var holder: (pid: Int32, descriptor: Int32)?
    var isListening = false
    /// The address of the bind(2) that was answered with 0. If a signal takes that answer away, the call is made again.
    var boundBytes: [UInt8]?
    /// Whether our descriptor is closed.
    var isDropped = false

    init(descriptor: Int32, inode: Int64, family: Int32, type: Int32, proto: Int32) {
        self.descriptor = descriptor
        self.inode = inode
        self.family = family
        self.type = type
        self.proto = proto
    }

    func close() {
        _ = Glibc.close(descriptor)
        if sender >= 0 { _ = Glibc.close(sender) }
        unixPeer?.close()
    }

    /// Whether it has an address.
    var isNamed: Bool { cbroker_has_name(descriptor) == 1 }
    var isInternet: Bool { family != AF_UNIX }
    /// UDP-Lite has ports of its own.
    var isLite: Bool { proto == 136 }
    var isDatagram: Bool { type == SocketType.datagram }
    var isStream: Bool { type == SocketType.stream }
    var isNonBlocking: Bool { fcntl(descriptor, F_GETFL) & O_NONBLOCK != 0 }

    /// SO_SNDTIMEO; never, if there is none.
    var connectDeadline: Deadline {
        var time = timeval()
        var length = socklen_t(MemoryLayout<timeval>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, &length) == 0 else { return .never }
        let milliseconds = Int64(time.tv_sec) * 1000 + Int64(time.tv_usec) / 1000
        return milliseconds > 0 ? .after(milliseconds: milliseconds) : .never
    }
}

/// The socket types as integers (linux/net.h); Glibc's Swift module has an enumeration for them.
enum SocketType {
    static let stream: Int32 = 1
    static let datagram: Int32 = 2
    static let packets: Int32 = 5
    /// SOCK_TYPE_MASK, SOCK_NONBLOCK, SOCK_CLOEXEC.
    static let mask: Int32 = 0xf
    static let nonBlocking: Int32 = 0x800
    static let closeOnExec: Int32 = 0x80000
}
