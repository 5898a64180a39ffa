import Contracts
import Events
import Glibc
import HTTPTypes
import Hummingbird
import HummingbirdCore
import LinuxSystem
import Logging
import NIOCore
import Synchronization

/// Answers the kubelet's probes: `/livez` and `/readyz`; everything else is 404. All answers are JSON.
///
/// Bounded: 64 connections, 8 KiB of header, 10 s of idleness; a request's body is not read.
package struct ProbeServer {
    private let task: Task<Void, Never>

    private enum Start {
        case waiting, running
        case failed(String)
    }

    /// Begins to listen on `host:port`.
    ///
    /// - Throws: `GatewayError(.configuration)` with the setting's name if the address cannot be had.
    package init(listen: String, health: Health) throws(GatewayError) {
        guard let mark = listen.lastIndex(of: ":"), let port = UInt16(listen[listen.index(after: mark)...]) else {
            throw GatewayError(.configuration, "AGENT_LISTEN is \"\(listen)\"; accepted: host:port, or off")
        }
        // An IPv6 address stands in brackets before a port (RFC 3986, 3.2.2); the socket wants it without.
        let host = listen[..<mark].drop { $0 == "[" }.prefix { $0 != "]" }
        let bell: Bell
        do throws(SystemError) {
            bell = try Bell()
        } catch {
            throw GatewayError(.internalError, "the probes cannot be served: \(error)")
        }
        let start = StartBox()
        let application = Application(
            responder: CallbackResponder<BasicRequestContext> { request, _ in Self.answer(request, health) },
            server: .http1(
                configuration: .init(
                    idleTimeout: .seconds(10),
                    httpDecoderConfiguration: .init(
                        maxHeaderFieldSize: 8192, maxHeaderListSize: 8192, maxHeaderFieldCount: 64))),
            configuration: ApplicationConfiguration(
                address: .hostname(String(host), port: Int(port)), serverName: nil,
                availableConnectionsDelegate: MaximumAvailableConnections(64)),
            onServerRunning: { _ in
                start.state.withLock { $0 = .running }
                bell.ring()
            },
            logger: Logger(label: "gateway", factory: { _ in SwiftLogNoOpLogHandler() }))
        task = Task.detached {
            do {
                try await application.run()
            } catch {
                // NIO's words name its own functions too; the kernel's are enough.
                let reason = (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
                start.state.withLock { $0 = .failed(reason) }
                bell.ring()
            }
        }
        // The pool's threads serve; this one has nothing to do before the address is ours.
        bell.wait(10_000)
        switch start.state.withLock({ $0 }) {
        case .running: return
        case .waiting:
            throw GatewayError(.configuration, "AGENT_LISTEN: \(listen) could not be opened within 10 s")
        case .failed(let reason):
            throw GatewayError(
                .configuration,
                "AGENT_LISTEN: cannot listen on \(listen): \(reason); choose another address, or \"off\"")
        }
    }

    /// Stops listening; answers that are under way may be cut.
    package func stop() { task.cancel() }

    private final class StartBox: Sendable {
        let state = Mutex(Start.waiting)
    }

    private static func answer(_ request: Request, _ health: Health) -> Response {
        guard request.method == .get || request.method == .head else {
            return answer(.methodNotAllowed, ["error": "only GET and HEAD"])
        }
        switch request.uri.path {
        case "/livez":
            guard let reason = health.deathReason else { return answer(.ok, ["status": "ok"]) }
            return answer(.serviceUnavailable, ["status": "failed", "reason": .string(reason)])
        case "/readyz":
            guard let reason = health.unreadyReason else { return answer(.ok, ["status": "ok"]) }
            return answer(.serviceUnavailable, ["status": "failed", "reason": .string(reason)])
        default: return answer(.notFound, ["error": "not found; there are /livez and /readyz"])
        }
    }

    private static func answer(_ status: HTTPResponse.Status, _ body: JSON) -> Response {
        Response(
            status: status, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: body.text + "\n")))
    }
}
