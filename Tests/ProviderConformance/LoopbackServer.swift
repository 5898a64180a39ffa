import Glibc
import Synchronization

/// A real HTTP server on the loopback that plays bytes as they are written down: whole answers, cuts, stalls, resets.
///
/// One thread, one connection after the other; the last script is played again for further connections.
package final class LoopbackServer: Sendable {
    /// What the server does once it has read a request.
    package enum Step: Sendable {
        case send([UInt8])
        case pause(milliseconds: Int32)
        /// Sends it every few milliseconds until the client goes.
        case sendForever([UInt8], milliseconds: Int32)
        /// Sends it as fast as it goes until the client goes.
        case flood([UInt8])
        /// Says nothing until the client goes.
        case stall
        /// Ends the connection with RST instead of FIN.
        case reset
    }

    /// A request as it came.
    package struct Request: Sendable {
        package var line: String
        /// By lowercase name.
        package var headers: [String: String]
        package var body: [UInt8]
    }

    package let port: UInt16
    private let listener: Int32
    private let scripts: [[Step]]
    private let seen = Mutex<[Request]>([])
    /// Bytes are written here when a request has been read, for a test that waits for it.
    private let bell: Int32?

    package var url: String { "http://127.0.0.1:\(port)" }
    package var requests: [Request] { seen.withLock { $0 } }

    /// Listens and begins to serve.
    ///
    /// - Parameters:
    ///   - scripts: for the first connection, the second, …
    ///   - bell: a descriptor that is written to whenever a request has come.
    /// - Throws: `Broken`.
    package init(_ scripts: [[Step]], bell: Int32? = nil) throws {
        self.scripts = scripts
        self.bell = bell
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 16) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        self.listener = listener
        guard bound else {
            close(listener)
            throw Broken("no server on the loopback: errno \(errno)")
        }
        port = UInt16(bigEndian: address.sin_port)
        // The thread owns this reference, so that the server lives as long as it serves.
        let context = Unmanaged.passRetained(self)
        var thread = pthread_t()
        let failure = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<LoopbackServer>.fromOpaque(context).takeRetainedValue().serve()
                return nil
            }, context.toOpaque())
        guard failure == 0 else {
            context.release()
            throw Broken("no thread for the server: errno \(failure)")
        }
        pthread_detach(thread)
    }

    /// Ends the server; a script that is being played is played on.
    package func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

    private func serve() {
        var count = 0
        while true {
            let client = accept(listener, nil, nil)
            if client < 0 {
                if errno == EINTR || errno == ECONNABORTED { continue }
                break
            }
            if let request = Self.read(client) {
                seen.withLock { $0.append(request) }
                if let bell { _ = write(bell, "!", 1) }
                if !scripts.isEmpty { Self.play(scripts[min(count, scripts.count - 1)], on: client) }
            }
            count += 1
            close(client)
        }
        close(listener)
    }

    private static func read(_ client: Int32) -> Request? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        var end: Int?
        var request = Request(line: "", headers: [:], body: [])
        while true {
            if let end, bytes.count - end >= Int(request.headers["content-length"] ?? "") ?? 0 {
                request.body = Array(bytes[end...])
                return request
            }
            let count = recv(client, &buffer, buffer.count, 0)
            if count <= 0 { return nil }
            bytes += buffer[..<count]
            guard end == nil, let mark = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { continue }
            end = mark.upperBound
            let lines = String(decoding: bytes[..<mark.lowerBound], as: UTF8.self).split(separator: "\r\n")
            request.line = String(lines.first ?? "")
            for line in lines.dropFirst() {
                guard let colon = line.firstIndex(of: ":") else { continue }
                request.headers[line[..<colon].lowercased()] = String(line[colon...].dropFirst(2))
            }
        }
    }

    private static func play(_ steps: [Step], on client: Int32) {
        for step in steps {
            switch step {
            case .send(let bytes): guard send(bytes, to: client) else { return }
            case .pause(let milliseconds): if isGone(client, after: milliseconds) { return }
            case .sendForever(let bytes, let milliseconds):
                while send(bytes, to: client), !isGone(client, after: milliseconds) {}
                return
            case .flood(let bytes):
                while send(bytes, to: client) {}
                return
            case .stall:
                _ = isGone(client, after: -1)
                return
            case .reset:
                var option = linger(l_onoff: 1, l_linger: 0)
                setsockopt(client, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
                return
            }
        }
    }

    private static func send(_ bytes: [UInt8], to client: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(client, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count <= 0 { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// Waits; true as soon as the client has closed or reset the connection.
    private static func isGone(_ client: Int32, after milliseconds: Int32) -> Bool {
        var set = pollfd(fd: client, events: Int16(POLLIN), revents: 0)
        return poll(&set, 1, milliseconds) > 0
    }
}

/// A test that cannot be made.
package struct Broken: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
