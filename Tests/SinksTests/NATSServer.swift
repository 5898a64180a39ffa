import CNATS
import Events
import FoundationEssentials
import Glibc
import LinuxSystem
import Testing

/// A real nats-server with JetStream on a free port of the loopback, its store in `folder`. Can be killed and started
/// again on the same store and port.
final class NATSServer {
    let port: UInt16
    private let folder: String
    private let options: [String]
    private var pid: Int32 = 0

    var url: String { "nats://127.0.0.1:\(port)" }

    init(folder: String, port: UInt16? = nil, options: [String] = []) throws {
        self.folder = folder
        self.options = options
        self.port = try port ?? Self.freePort()
        try start()
    }

    deinit { kill() }

    func start() throws {
        let places: [String] = ["/usr/sbin/nats-server", "/usr/bin/nats-server", "/usr/local/bin/nats-server"]
        let program = try #require(places.first { access($0, X_OK) == 0 }, "nats-server is not installed")
        let nowhere = Descriptor(adopting: open("/dev/null", O_RDWR | O_CLOEXEC))
        let spawn = Spawn(
            path: program,
            arguments: ["nats-server", "-js", "-sd", folder + "/store", "-a", "127.0.0.1", "-p", "\(port)"] + options,
            environment: [], descriptors: [0, 1, 2].map { (nowhere.number, $0) })
        pid = try spawn.start()
        let deadline = Deadline.after(milliseconds: 20000)
        while !isListening {
            try #require(!deadline.hasPassed, "nats-server does not listen")
            usleep(10000)
        }
    }

    func signal(_ signal: Int32) { _ = Glibc.kill(pid, signal) }

    /// As a node that loses its power, but for the page cache.
    func kill() {
        guard pid > 0 else { return }
        signal(SIGKILL)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        pid = 0
    }

    private var isListening: Bool {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        return Self.withAddress(port) { connect(socket, $0, $1) } == 0
    }

    private static func freePort() throws -> UInt16 {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        try #require(withAddress(0) { bind(socket, $0, $1) } == 0)
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let found = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket, $0, &size) }
        }
        try #require(found == 0)
        return UInt16(bigEndian: address.sin_port)
    }

    private static func withAddress(_ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}

/// Another client of the server: a consumer, or whoever sends commands.
final class NATSClient {
    private let handle: OpaquePointer

    init(_ server: NATSServer) throws {
        var opened: OpaquePointer?
        try #require(natsConnection_ConnectTo(&opened, server.url) == NATS_OK)
        handle = try #require(opened)
    }

    deinit { natsConnection_Destroy(handle) }

    func call(_ method: String, _ body: JSON) throws -> JSON {
        var reply: OpaquePointer?
        try #require(natsConnection_RequestString(&reply, handle, "$JS.API.\(method)", body.text, 5000) == NATS_OK)
        defer { natsMsg_Destroy(reply) }
        let bytes = UnsafeRawBufferPointer(start: natsMsg_GetData(reply), count: Int(natsMsg_GetDataLength(reply)))
        return try JSON(parsing: bytes)
    }

    func createStream(_ name: String, subjects: [String], _ more: [String: JSON] = [:]) throws {
        var body: [String: JSON] = [
            "name": .string(name), "subjects": .array(subjects.map { .string($0) }), "storage": "file",
        ]
        body.merge(more) { _, new in new }
        let answer = try call("STREAM.CREATE.\(name)", .object(body))
        try #require(answer["error"] == nil, "\(answer)")
    }

    /// Sends to a stream; returns the stream's sequence.
    @discardableResult
    func publish(_ subject: String, _ text: String, headers: [(String, String)] = []) throws -> Int {
        var message: OpaquePointer?
        try #require(natsMsg_Create(&message, subject, nil, text, Int32(text.utf8.count)) == NATS_OK)
        defer { natsMsg_Destroy(message) }
        for (name, value) in headers { natsMsgHeader_Set(message, name, value) }
        var reply: OpaquePointer?
        try #require(natsConnection_RequestMsg(&reply, handle, message, 5000) == NATS_OK)
        defer { natsMsg_Destroy(reply) }
        let bytes = UnsafeRawBufferPointer(start: natsMsg_GetData(reply), count: Int(natsMsg_GetDataLength(reply)))
        return try #require(try JSON(parsing: bytes)["seq"]?.int)
    }

    struct Stored {
        let id: String
        let json: JSON
    }

    /// All that a stream keeps of a subject, oldest first.
    func stored(_ subject: String) throws -> [Stored] {
        guard let stream = try call("STREAM.NAMES", ["subject": .string(subject)])["streams"]?.array?.first?.string
        else { return [] }
        var result: [Stored] = []
        var next: Int64 = 1
        while let message = try call(
            "STREAM.MSG.GET.\(stream)", ["seq": .int(next), "next_by_subj": .string(subject)])["message"]
        {
            next = Int64(try #require(message["seq"]?.int)) + 1
            let headers = String(decoding: Data(base64Encoded: message["hdrs"]?.string ?? "") ?? Data(), as: UTF8.self)
            let id = headers.split(whereSeparator: \.isNewline).first { $0.hasPrefix("Nats-Msg-Id: ") }?.dropFirst(13)
            let data = try #require(Data(base64Encoded: message["data"]?.string ?? ""))
            result.append(Stored(id: String(id ?? ""), json: try JSON(parsing: data)))
        }
        return result
    }
}
