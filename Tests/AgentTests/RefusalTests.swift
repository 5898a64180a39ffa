import Agent
import AgentFixtures
import Contracts
import Events
import Glibc
import LinuxSystem
import Testing

/// The words for what the jail refused.
struct RefusalTests {
    private let folder: TemporaryFolder
    private let settings: Settings
    private var commands: JailedCommands

    init() throws {
        folder = try TemporaryFolder()
        settings = try Settings(
            environment: [
                "JOB_ID": "j", "AGENT_TASK": "t", "WORKSPACE_PATH": folder.path, "HTTPS_PROXY": "http://127.0.0.1:3128",
            ])
        try settings.folders.prepare()
        commands = JailedCommands(program: "/no/agent-jail", folders: settings.folders, proxy: settings.proxy)
    }

    private func words(
        _ violations: [JailViolation] = [], output: String = "", profile: JailProfile = .tactical
    ) -> [String] {
        var report = JailReport(end: .exited(1))
        for violation in violations { _ = report.violations.take(line: violation.line) }
        return commands.refusals(report, output: output, profile: profile)
    }

    @Test func `a connection elsewhere is told with what there is instead`() {
        let words = words([JailViolation(.connect, target: "10.0.0.1:443", pid: 7, program: "curl", count: 3)])
        #expect(
            words == [
                "connecting to 10.0.0.1:443 (curl, 3 times) is not allowed: the network of this job is only the proxy at "
                    + "127.0.0.1:3128; use the proxy (HTTPS_PROXY and HTTP_PROXY are set), which looks up names too"
            ])
    }

    @Test func `every kind of violation has its words`() {
        for kind in JailViolation.Kind.allCases {
            let violation = JailViolation(kind, target: "192.0.2.1:1", pid: 7, program: "p")
            let words = words([violation], output: "curl: (6) Could not resolve host: example.com")
            #expect(words.count == 1 && words[0].contains("p"), "\(kind)")
        }
    }

    @Test func `a lookup is spoken of only where a name was not found`() {
        let violation = JailViolation(.udp, target: "192.0.2.1:53 by UDP", pid: 7, program: "p")
        #expect(words([violation], output: "Serving HTTP on 0.0.0.0") == [])
        #expect(words([violation], output: "Temporary failure in name resolution").count == 1)
    }

    @Test func `a program's name can neither begin a line nor move a cursor`() {
        let words = words([JailViolation(.connect, target: "a\nb", pid: 7, program: "\u{1b}[2J\n\u{202e}x")])
        #expect(words[0].hasPrefix("connecting to a?b (?[2J??x) is not"))
    }

    @Test func `there are never more than a few, and the rest is counted`() {
        let words = words((0..<30).map { JailViolation(.connect, target: "10.0.0.\($0):1", pid: 7, program: "p") })
        #expect(words.count == 8)
        #expect(words.last == "23 more")
    }

    @Test(arguments: [
        "ls: cannot open directory '/': Permission denied", "find: \u{2018}/\u{2019}: Permission denied",
        "PermissionError: [Errno 13] Permission denied: '/'", "Error: EACCES: permission denied, scandir '/'",
    ])
    func `who lists the root is told to name a folder`(line: String) {
        #expect(
            words(output: line) == [
                "/ cannot be listed; name the folder, for example \(settings.folders.project), /usr or /etc"
            ])
    }

    @Test(arguments: [
        "bash: line 1: /etc/hosts: Permission denied", "bash: /etc/hosts: Permission denied",
        "touch: cannot touch '/etc/hosts': Permission denied",
        "mkdir: cannot create directory \u{2018}/etc/hosts\u{2019}: Read-only file system",
        "PermissionError: [Errno 13] Permission denied: '/etc/hosts'",
        "Error: EACCES: permission denied, open '/etc/hosts'",
        "cp: cannot create regular file '/etc/hosts': Permission denied",
        "open(\"/etc/hosts\"): Permission denied", "cp: /etc/hosts: Permission denied\r",
        "of=/etc/hosts: Permission denied",
        "error: could not lock config file /etc/hosts: Permission denied",
    ])
    func `a path that is complained about is found`(line: String) {
        let words = words(output: "first\n" + line + "\nlast\n")
        #expect(words.count == 1)
        #expect(
            words.first?.hasPrefix("/etc/hosts lies outside what a command may write; write below \(folder.path)")
                == true)
    }

    @Test(arguments: [
        "Permission denied", "ssh: Permission denied (publickey)", "./x: Permission denied", "Permission denied: /",
        "//: x",
        "/etc/hosts: No such file or directory", "https://x/y: Permission denied", "/dev/sda: Permission denied", "",
    ])
    func `where nothing is known nothing is said`(line: String) {
        #expect(words(output: line) == [])
    }

    @Test(arguments: [
        ("/usr/bin/ld: cannot open output file prog: Permission denied", "prog"),
        ("touch: cannot touch 'new': Permission denied", "new"),
        ("bash: line 1: out.txt: Permission denied", "out.txt"),
        ("/bin/sh: 1: cannot create build/x: Permission denied", "build/x"),
        ("PermissionError: [Errno 13] Permission denied: 'a.pyc'", "a.pyc"),
        ("Error: EACCES: permission denied, mkdir 'node_modules'", "node_modules"),
        ("mkdir: cannot create directory \u{2018}a\u{2019}: Permission denied", "a"),
    ])
    func `while planning a name without a path is told that the project is read-only`(line: String, name: String) {
        let told = "the project tree is read-only in the strategic phase (\(name)); write below $HOME or $TMPDIR"
        #expect(words(output: line, profile: .strategic) == [told])
        #expect(words(output: line) == [])
    }

    @Test(arguments: [
        "ssh: Permission denied (publickey)", "Permission denied", "bash: line 1: ./run: Permission denied",
    ])
    func `while planning nothing is said of what is no writing`(line: String) throws {
        try folder.write("project/run", "no program")
        #expect(words(output: line, profile: .strategic) == [])
    }

    @Test func `a file of the image that nobody but root reads is the kernel's refusal`() throws {
        let told = words(output: "cat: /etc/shadow: Permission denied")
        #expect(told == (access("/etc/shadow", R_OK) == 0 ? told : []))
        try #require(getuid() == 0 || told.isEmpty)
    }

    @Test func `tracing somebody else, and a way out by dots, are told`() {
        #expect(
            words(output: "strace: attach: ptrace(PTRACE_SEIZE, 1): Operation not permitted")
                == ["a command can trace only what it has started itself"])
        let out = words(output: "cp: cannot create regular file '../x': Permission denied")
        #expect(out.count == 1 && out[0].contains("lies outside what a command may reach"))
        let moved = words(output: "mv: cannot move 'f' to '/var/f': Invalid cross-device link")
        #expect(moved.count == 1 && moved[0].contains("/var/f lies outside"))
    }

    @Test func `of a path inside nothing is said, but that the project is read-only while planning`() {
        for inside in [settings.folders.project, settings.folders.home, settings.folders.temporary, "/dev/shm"] {
            #expect(words(output: "x: \(inside)/a: Permission denied") == [])
        }
        let planning = words(output: "x: \(settings.folders.project)/a: Permission denied", profile: .strategic)
        #expect(planning.count == 1 && planning[0].contains("read-only in the strategic phase"))
        let hidden = words(output: "cat: \(settings.folders.checkpoints)/job_j.db: Permission denied")
        #expect(hidden.count == 1 && hidden[0].contains("outside what a command may reach"))
    }

    @Test(arguments: 0..<2000 as Range<UInt64>)
    func `whatever is printed, there are few short lines about paths that were printed`(seed: UInt64) {
        var generator = SplitMix(seed: seed)
        let pieces = [
            "/", "//", "/etc", "/var/x", "..", ":", " ", "\n", "\r\n", "'", "\u{2018}", "Permission denied",
            "PERMISSION DENIED",
            "read-only file system", "\0", "\u{1b}[1m", "\u{301}", "\u{130}", "🧪", "\u{202e}", "a", folder.path, "=",
            ",",
        ]
        var output = ""
        for _ in 0..<Int.random(in: 0...60, using: &generator) {
            output += pieces.randomElement(using: &generator) ?? ""
        }
        let words = words(output: output)
        #expect(words.count <= 5)
        for sentence in words {
            #expect(sentence.hasPrefix("/") && sentence.utf8.count < 1500)
            #expect(!sentence.unicodeScalars.contains { $0.value < 32 || $0 == "\u{202e}" })
        }
    }
}

private struct SplitMix: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
