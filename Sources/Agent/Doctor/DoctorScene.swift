import Contracts
import Glibc
import LinuxSystem

/// What the doctor's command meets: a file that it must not read, a process that it must not touch, a port that it must
/// not reach. All of it is gone when this value goes.
final class DoctorScene {
    /// Something that a command tries.
    struct Attempt {
        let name: String
        let what: String
        /// Possible where the project tree is writable.
        var needsWritableProject = false
        var needsNetwork = false
    }

    static let attempts = [
        Attempt(name: "checkpoint", what: "reading a checkpoint"), Attempt(name: "secret", what: "reading a secret"),
        Attempt(name: "outside", what: "writing outside the project tree"),
        Attempt(name: "project", what: "writing in the project tree", needsWritableProject: true),
        Attempt(name: "signal", what: "signalling another process"),
        Attempt(name: "environ", what: "reading another process's environment"),
        Attempt(name: "tcp", what: "a TCP connection", needsNetwork: true),
        Attempt(name: "udp", what: "a UDP datagram", needsNetwork: true),
    ]

    /// Bash alone, without another program of the image. Each attempt in a subshell of its own.
    private static let script = """
        attempt() { if ( "${@:2}" ) >/dev/null 2>&1; then echo "open $1"; fi; }
        read_file() { exec 3<"$1"; }
        make_file() { : >"$1" && rm -f -- "$1"; }
        connect() { exec 3<>"$1"; }
        send() { echo x >"$1"; }
        attempt checkpoint read_file "$DOCTOR_CHECKPOINT"
        attempt secret read_file "$DOCTOR_SECRET"
        attempt outside make_file "$DOCTOR_OUTSIDE"
        attempt project make_file "$DOCTOR_PROJECT"
        attempt signal kill -0 "$DOCTOR_PROCESS"
        attempt environ read_file "/proc/$DOCTOR_PROCESS/environ"
        attempt tcp connect "/dev/tcp/127.0.0.1/$DOCTOR_PORT"
        attempt udp send /dev/udp/127.0.0.1/9
        if [ "$DOCTOR_JAILED" ]; then sleep 3600 & echo "left $!"; fi
        exit 0
        """

    private let bash: String
    private let canary: String
    private let secret: String
    private let outside: String
    private let project: String
    private let listener: Descriptor
    let port: UInt16
    private let witness: Int32
    /// The witness ends when this does.
    private let leash: Descriptor

    init(folders: Folders) throws(SystemError) {
        let places = ["/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash"]
        guard let bash = places.first(where: { place in access(place, X_OK) == 0 })
        else { throw SystemError("find", code: ENOENT, subject: "bash") }
        let name = ".agent-init-doctor-\(getpid())"
        let canary = folders.checkpoints + "/" + name
        let file = Descriptor(
            adopting: try retrying("open", subject: canary) {
                open(canary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
            })
        try writeAll(file.number, "nobody may read this\n")
        let listener = try Self.socket()
        let port = try Self.listen(listener.number)
        var held = try Pipe()
        let witness = try Spawn(
            path: bash, arguments: ["bash", "-c", "read -r _"], environment: [], descriptors: [(held.reader.number, 0)]
        ).start()
        self.bash = bash
        self.canary = canary
        outside = folders.workspace + "/" + name
        project = folders.project + "/" + name
        // A real one if there is one to be read; else a stand-in beside the checkpoint.
        let names = ((try? namesInFolder(folders.secrets)) ?? []).filter { !$0.hasPrefix(".") }
        secret = names.map { folders.secrets + "/" + $0 }.first { access($0, R_OK) == 0 } ?? canary
        self.listener = listener
        self.port = port
        self.witness = witness
        leash = held.takeWriter()
    }

    deinit {
        unlink(canary)
        // Made only where the jail failed, and by a bash that was then ended.
        unlink(outside)
        unlink(project)
        Self.end(witness)
    }

    /// Kills a child of ours and reaps it.
    private static func end(_ child: Int32) {
        _ = kill(child, SIGKILL)
        let deadline = Deadline.after(milliseconds: 1000)
        while reap(child) == nil, !deadline.hasPassed { _ = poll(nil, 0, 2) }
    }

    private static func socket() throws(SystemError) -> Descriptor {
        Descriptor(
            adopting: try retrying("socket") {
                Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            })
    }

    /// Makes a server of the socket, on a free port of this host, and returns that.
    private static func listen(_ socket: Int32) throws(SystemError) -> UInt16 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(socket, generic, size) == 0 && Glibc.listen(socket, 8) == 0
                    && getsockname(socket, generic, &size) == 0
            }
        }
        guard result else { throw SystemError.last("listen") }
        return UInt16(bigEndian: address.sin_port)
    }

    private var variables: [(String, String)] {
        [
            ("DOCTOR_CHECKPOINT", canary), ("DOCTOR_SECRET", secret), ("DOCTOR_OUTSIDE", outside),
            ("DOCTOR_PROJECT", project), ("DOCTOR_PROCESS", String(witness)), ("DOCTOR_PORT", String(port)),
        ]
    }

    /// In the jail.
    func run(_ commands: JailedCommands, _ profile: ExecProfile) throws(SystemError) -> ExecOutcome {
        var commands = commands
        for (name, value) in variables + [("DOCTOR_JAILED", "1")] { commands.environment.set(name, value) }
        return try commands.exec(
            ExecPlan(command: [bash, "-c", Self.script], profile: profile, timeout: 10000, captures: true))
    }

    /// Outside, for the proof that the attempts are good for something. Which of them succeeded.
    func runBare() -> Set<String> {
        guard var output = try? Pipe(), let null = try? retrying("open", { open("/dev/null", O_RDWR | O_CLOEXEC) })
        else {
            return []
        }
        let nothing = Descriptor(adopting: null)
        let environment = variables.map { "\($0.0)=\($0.1)" } + ["PATH=/usr/local/bin:/usr/bin:/bin"]
        let started = try? Spawn(
            path: bash, arguments: ["bash", "-c", Self.script], environment: environment,
            descriptors: [(nothing.number, 0), (output.writer.number, 1), (nothing.number, 2)]
        ).start()
        guard let pid = started else { return [] }
        output.writer = Descriptor(adopting: -1)
        let deadline = Deadline.after(milliseconds: 10000)
        var text: [UInt8] = []
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { buffer in
            while !deadline.hasPassed, text.count < 65536,
                let ready = try? waitReadable([output.reader.number], until: deadline), !ready.isEmpty,
                case .bytes(let count)? = try? readSome(output.reader.number, into: buffer)
            {
                text += buffer[..<count]
            }
        }
        Self.end(pid)
        return Self.opened(String(decoding: text, as: UTF8.self))
    }

    /// The names of the attempts that succeeded, of what the script printed.
    static func opened(_ text: String) -> Set<String> {
        Set(text.split(separator: "\n").filter { $0.hasPrefix("open ") }.map { String($0.dropFirst(5)) })
    }

    /// Whether the process that the script left behind is still there.
    func isLeft(_ text: String) -> Bool {
        let line = text.split(separator: "\n").first { $0.hasPrefix("left ") }
        guard let pid = line.flatMap({ Int32($0.dropFirst(5)) }) else { return true }
        return kill(pid, 0) == 0
    }
}
