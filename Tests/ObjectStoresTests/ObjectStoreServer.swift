import AgentFixtures
import FoundationEssentials
import Glibc
import LinuxSystem
import Testing

/// A server of Tests/ObjectStoreServer, each once in a test process: it takes two seconds to start, and ends with the
/// pipe that is its stdin.
struct ObjectStoreServer {
    /// moto behind a proxy.
    static let shared = Result { try ObjectStoreServer("object-store-server") }
    static let openStackSwift = Result { try ObjectStoreServer("openstack-swift") }

    static let keyID = "AKIDEXAMPLE"
    static let secretKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

    let folder: String
    let port: UInt16
    /// The writing end of its stdin: never closed by us.
    private let pipe: Int32

    var endpoint: String { "http://127.0.0.1:\(port)" }

    private init(_ program: String) throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path(percentEncoded: false)
        let python = root + ".build/python/bin/python3"
        try #require(access(python, X_OK) == 0, "scripts/install-dependencies test makes \(python)")
        // Not /tmp: as a tmpfs it may be without extended attributes.
        var template = Array("/var/tmp/agent-init-store-XXXXXX".utf8CString)
        let made = try #require(mkdtemp(&template))
        folder = String(cString: made)
        var ends = try Pipe()
        let nowhere = Descriptor(adopting: open("/dev/null", O_RDWR | O_CLOEXEC))
        // Its first argument is its path: by it Python finds the packages that lie beside it.
        let spawn = Spawn(
            path: python, arguments: [python, root + "Tests/ObjectStoreServer/" + program, folder],
            environment: [], descriptors: [(ends.reader.number, 0), (nowhere.number, 1), (STDERR_FILENO, 2)])
        let pid = try spawn.start()
        var writer = Descriptor(adopting: -1)
        swap(&writer, &ends.writer)
        pipe = writer.release()
        let deadline = Deadline.after(milliseconds: 60000)
        var number: UInt16?
        while number == nil {
            var status: Int32 = 0
            try #require(
                !deadline.hasPassed && waitpid(pid, &status, WNOHANG) == 0, "the object store's server does not start")
            usleep(20000)
            number = (try? readFile(folder + "/port", limit: 10)).flatMap {
                UInt16(String(decoding: $0, as: UTF8.self))
            }
        }
        port = try #require(number)
    }

    /// A clean state for a test; the objects of others stay.
    func reset() throws {
        try write("credentials", "\(Self.keyID) \(Self.secretKey)")
        for name in ["fault", "faults", "skew", "requests"] { try write(name, "") }
    }

    func write(_ name: String, _ text: String) throws {
        let file = Descriptor(
            adopting: try retrying("open") {
                open(folder + "/" + name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
            })
        try writeAll(file.number, text)
    }

    /// The next requests get these, one each.
    func fail(_ faults: [String]) throws { try write("faults", faults.map { $0 + "\n" }.joined()) }

    /// `METHOD PATH STATUS` of each request since `reset`.
    func requests() throws -> [String] {
        String(decoding: try readFile(folder + "/requests", limit: 1 << 24), as: UTF8.self)
            .split(separator: "\n").map(String.init)
    }

    /// The last word of each.
    func statuses() throws -> [String] {
        try requests().map { $0.split(separator: " ").last.map(String.init) ?? "" }
    }
}
