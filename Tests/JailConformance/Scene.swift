import Glibc
import LinuxSystem

/// A place to try escapes in: the folders of a job, and a process outside the jail that listens and can be signalled.
package struct Scene: ~Copyable {
    private let root: String
    package var project: String { root + "/project" }
    package var home: String { root + "/home" }
    package var temporary: String { root + "/tmp" }
    /// A folder beside the project, with a file `secret` in it.
    package var outside: String { root + "/checkpoints" }
    /// The process outside, its TCP port on 127.0.0.1, and the name of its abstract socket.
    package let victim: Int32
    package let port: UInt16
    package var socket: String { root }

    private let hold: Descriptor

    package init() throws {
        var template = Array("/tmp/agent-jail-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError.last("mkdtemp") }
        let root = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        for folder in ["project", "home", "tmp", "checkpoints"] {
            guard mkdir("\(root)/\(folder)", 0o700) == 0 else { throw SystemError.last("mkdir") }
        }
        let secret = open("\(root)/checkpoints/secret", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard secret >= 0 else { throw SystemError.last("open") }
        let file = Descriptor(adopting: secret)
        try writeAll(file.number, "secret")

        let life = try Pipe()
        let answer = try Pipe()
        var spawn = Spawn(
            path: "/usr/bin/python3", arguments: ["python3", "-c", Self.listener, root], environment: [],
            descriptors: [(life.reader.number, 0), (answer.writer.number, 1), (2, 2)])
        spawn.newSession = true
        let victim = try spawn.start()
        var text = [UInt8](repeating: 0, count: 16)
        let outcome = try text.withUnsafeMutableBytes { try readSome(answer.reader.number, into: $0) }
        guard case .bytes(let count) = outcome, let port = UInt16(String(decoding: text.prefix(count), as: UTF8.self))
        else { throw SystemError("python3", code: EPIPE, subject: "the listener outside") }
        self.victim = victim
        self.port = port
        self.root = root
        hold = Descriptor(adopting: dup(life.writer.number))
    }

    /// It ends when nobody holds the pipe's other end any more. It drops its capabilities: the kernel protects a process
    /// that has some from one that has none, jail or not (security/commoncap.c, cap_safe_nice).
    private static let listener = """
        import ctypes, os, socket, sys
        ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())
        tcp = socket.create_server(('127.0.0.1', 0), backlog=64)
        abstract = socket.socket(socket.AF_UNIX)
        abstract.bind('\\0' + sys.argv[1])
        abstract.listen(64)
        datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        datagrams.bind('\\0' + sys.argv[1] + '-datagrams')
        udp = socket.socket(type=socket.SOCK_DGRAM)
        udp.bind(tcp.getsockname())
        os.write(1, str(tcp.getsockname()[1]).encode())
        os.read(0, 1)
        """

    /// Ends the process outside, reaps it and removes the folders. A dead child that nobody reaps would keep Swift
    /// Testing's exit tests waiting for ever: their thread asks for any child that has ended, and is told of that one.
    deinit {
        // Our own child, not yet waited for: the number is still its own.
        kill(victim, SIGKILL)
        while waitpid(victim, nil, 0) < 0, errno == EINTR {}
        try? removeTree(root)
    }
}
