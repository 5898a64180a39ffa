import Contracts
import Gateway
import Glibc
import LinuxSystem
import Synchronization
import Testing

/// A port that was free a moment ago.
private func freePort() throws -> UInt16 {
    let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(socket) }
    var address = try loopback(0)
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let found = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(socket, $0, size) == 0 && getsockname(socket, $0, &size) == 0
        }
    }
    try #require(found)
    return UInt16(bigEndian: address.sin_port)
}

private func loopback(_ port: UInt16) throws -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    return address
}

/// The whole answer to one request.
private func answer(_ port: UInt16, _ request: String) throws -> String {
    let socket = Descriptor(adopting: Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
    var address = try loopback(port)
    let connected = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(socket.number, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
    try #require(connected == 0)
    try writeAll(socket.number, request)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 1)
    defer { buffer.deallocate() }
    var text: [UInt8] = []
    while case .bytes(let count)? = try? readSome(socket.number, into: buffer) { text += buffer[..<count] }
    return String(decoding: text, as: UTF8.self)
}

private func get(_ port: UInt16, _ path: String) throws -> (status: String, body: String) {
    let text = try answer(port, "GET \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    let status = text.split(separator: " ").dropFirst().first.map(String.init) ?? ""
    let body = text.firstRange(of: "\r\n\r\n").map { String(text[$0.upperBound...]) } ?? ""
    return (status, body)
}

/// Runs `body` on a thread that is none of the cooperative pool's.
private func onOwnThread(_ body: @escaping @Sendable () throws -> Void) async throws {
    final class Work: Sendable {
        let body: @Sendable () throws -> Void
        let continuation: CheckedContinuation<Void, any Error>
        init(_ body: @escaping @Sendable () throws -> Void, _ continuation: CheckedContinuation<Void, any Error>) {
            self.body = body
            self.continuation = continuation
        }
    }
    try await withCheckedThrowingContinuation { continuation in
        let work = Unmanaged.passRetained(Work(body, continuation))
        var thread = pthread_t()
        let start: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { argument in
            guard let argument else { return nil }
            let work = Unmanaged<Work>.fromOpaque(argument).takeRetainedValue()
            work.continuation.resume(with: Result { try work.body() })
            return nil
        }
        pthread_create(&thread, nil, start, work.toOpaque())
    }
}

/// Each in a process of its own: the server's tasks need a thread of the cooperative pool, and the other tests of this
/// process block all of them.
struct ProbeServerTests {
    @Test func `the probes answer for the loop's health, and anything else is not found`() async {
        await #expect(processExitsWith: .success) {
            try await onOwnThread {
                let port = try freePort()
                let health = Health()
                let server = try ProbeServer(listen: "127.0.0.1:\(port)", health: health)
                defer { server.stop() }
                #expect(try get(port, "/livez") == ("200", "{\"status\":\"ok\"}\n"))
                #expect(try get(port, "/readyz").status == "503")
                #expect(try get(port, "/readyz").body.contains("\"reason\":\"the loop has not begun to work\""))
                health.loopIsAlive()
                #expect(try get(port, "/readyz") == ("200", "{\"status\":\"ok\"}\n"))
                health.stops()
                #expect(try get(port, "/readyz").status == "503")
                #expect(try get(port, "/livez").status == "200")
                for path in ["/", "/metrics", "/livez/x", "/../etc/passwd"] {
                    #expect(try get(port, path).status == "404", "\(path)")
                }
            }
        }
    }

    @Test func `a loop that is silent for too long fails the liveness probe with a reason`() async {
        await #expect(processExitsWith: .success) {
            try await onOwnThread {
                let port = try freePort()
                let clock = Time()
                let health = Health(now: { clock.now.load(ordering: .relaxed) })
                let server = try ProbeServer(listen: "127.0.0.1:\(port)", health: health)
                defer { server.stop() }
                #expect(try get(port, "/livez").status == "200")
                clock.now.store(Health.patience, ordering: .relaxed)
                #expect(try get(port, "/livez").status == "503")
                #expect(try get(port, "/livez").body.contains("\"reason\":\"the loop has not begun to work in 60 s\""))
            }
        }
    }

    private final class Time: Sendable {
        let now = Atomic<Int64>(0)
    }

    @Test func `other methods and headers without end are refused`() async {
        await #expect(processExitsWith: .success) {
            try await onOwnThread {
                let port = try freePort()
                let server = try ProbeServer(listen: "127.0.0.1:\(port)", health: Health())
                defer { server.stop() }
                #expect(
                    try answer(
                        port, "POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    )
                    .contains(" 405 "))
                let long = try answer(
                    port, "GET /livez HTTP/1.1\r\nHost: x\r\nX: " + String(repeating: "x", count: 20000) + "\r\n\r\n")
                #expect(!long.contains(" 200 "))
            }
        }
    }

    @Test func `an address that is in use is a configuration error with the setting's name`() async {
        await #expect(processExitsWith: .success) {
            try await onOwnThread {
                let port = try freePort()
                let server = try ProbeServer(listen: "127.0.0.1:\(port)", health: Health())
                defer { server.stop() }
                let error = try #require(throws: GatewayError.self) {
                    try ProbeServer(listen: "127.0.0.1:\(port)", health: Health())
                }
                #expect(error.exit == .configuration && error.description.contains("AGENT_LISTEN"))
            }
        }
    }
}
