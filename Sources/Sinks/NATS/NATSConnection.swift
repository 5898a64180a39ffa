import CNATS
import Events
import Glibc
import LinuxSystem

/// A connection that is made anew when it is lost. Used from one thread; nats.c has threads of its own beneath it.
///
/// Everything is done with core messages: JetStream is asked and answers in JSON over them (docs: "JetStream wire
/// API"). nats.c's own JetStream layer reports a publish as done before it is, and overflows its heap when it fetches
/// more than one message (measured, 3.4.1).
final class NATSConnection {
    private var settings: NATSSettings
    private let watch = ClockWatch()
    private var handle: OpaquePointer?
    private var made: UInt64 = 0

    /// Milliseconds that one request may take.
    private static let patience: Int64 = 2000

    init(_ settings: NATSSettings) { self.settings = settings }

    deinit {
        close()
        watch.end()
    }

    private func close() {
        guard let handle else { return }
        watch.watch(nil)
        natsConnection_Destroy(handle)
        self.handle = nil
    }

    /// Sees to it that there is a connection.
    ///
    /// - Returns: a number that changes with each connection: what was found out over an older one may no longer hold.
    /// - Throws: `SinkError` if there is none now; it is being worked on.
    func ensure() throws(SinkError) -> UInt64 {
        // Lost, refused twice for the same reason, after which nats.c gives up whatever MaxReconnect says, or ended
        // because the clock was set back.
        if let handle, natsConnection_IsClosed(handle) {
            let reason = lastError
            close()
            throw SinkError("\(place) closed the connection\(reason)")
        }
        if handle == nil { try open() }
        guard let handle, natsConnection_Status(handle) == NATS_CONN_STATUS_CONNECTED else {
            throw SinkError("no connection to \(place)\(lastError)")
        }
        return made
    }

    private func open() throws(SinkError) {
        // They may have been rotated: a server that refuses them closes the connection, and this is the next one.
        settings.credentials = settings.currentCredentials() ?? settings.credentials
        var options: OpaquePointer?
        guard natsOptions_Create(&options) == NATS_OK, let options else { throw SinkError("nats.c: no memory") }
        defer { natsOptions_Destroy(options) }
        // A refusal of an option is one of its value: the URL or the credentials.
        try check(NATSOptions.set(options, settings), "NATS_URL \(place) or its credentials cannot be used")
        var opened: OpaquePointer?
        let status = natsConnection_Connect(&opened, options)
        guard status == NATS_OK || status == NATS_NOT_YET_CONNECTED, let opened else {
            throw SinkError("no connection to \(place): \(Self.text(status))")
        }
        handle = opened
        watch.watch(opened)
        made += 1
    }

    /// The servers without what may be a password.
    private var place: String {
        settings.url.split(separator: ",").map { url in
            guard let at = url.lastIndex(of: "@") else { return String(url) }
            let scheme = url.firstRange(of: "://").map { url[..<$0.upperBound] } ?? ""
            return scheme + String(url[url.index(after: at)...])
        }.joined(separator: ",")
    }

    private var lastError: String {
        var text: UnsafePointer<CChar>?
        guard let handle else { return "" }
        let status = natsConnection_GetLastError(handle, &text)
        // nats.c takes a server off its list that has refused it twice for the same reason, and forgets the reason.
        if status == NATS_NO_SERVER {
            return ": no server is left; one that runs has refused us twice (authorization: see the credentials)"
        }
        guard status != NATS_OK, let text else { return "" }
        let reason = String(cString: text)
        return reason.isEmpty ? "" : ": \(reason)"
    }

    private static func text(_ status: natsStatus) -> String {
        natsStatus_GetText(status).map { String(cString: $0) } ?? "status \(status.rawValue)"
    }

    private func check(_ status: natsStatus, _ what: String) throws(SinkError) {
        if status != NATS_OK { throw SinkError("\(what): \(Self.text(status))") }
    }

    private func live() throws(SinkError) -> OpaquePointer {
        guard let handle else { throw SinkError("no connection to \(place)") }
        return handle
    }

    // MARK: Messages

    /// The largest message that the server takes, in bytes.
    var payloadLimit: Int { handle.map { Int(natsConnection_GetMaxPayload($0)) } ?? 1 << 20 }

    /// Sends a message; nothing says yet that it has arrived.
    func publish(
        _ subject: String, _ text: String, reply: String? = nil, headers: [(String, String)] = []
    ) throws(SinkError) {
        let connection = try live()
        var message: OpaquePointer?
        var copy = text
        let created = copy.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) {
                natsMsg_Create(&message, subject, reply, $0.baseAddress, Int32($0.count))
            }
        }
        try check(created, "publish \(subject)")
        guard let message else { throw SinkError("publish \(subject): no message") }
        defer { natsMsg_Destroy(message) }
        for (name, value) in headers { try check(natsMsgHeader_Set(message, name, value), "publish \(subject)") }
        try check(natsConnection_PublishMsg(connection, message), "publish \(subject)")
    }

    /// Sends a message and waits for the answer, at most 2 s and until `deadline`.
    ///
    /// - Throws: `SinkError` without an answer in that time.
    func request(_ subject: String, _ text: String, until deadline: Deadline = .never) throws(SinkError) -> [UInt8] {
        let connection = try live()
        var reply: OpaquePointer?
        let status = natsConnection_RequestString(
            &reply, connection, subject, text, max(1, min(Self.patience, deadline.remaining)))
        guard status != NATS_NO_RESPONDERS else {
            throw SinkError("\(subject): nobody answers; is JetStream enabled for this account?")
        }
        try check(status, subject)
        guard let reply else { throw SinkError("\(subject): no answer") }
        defer { natsMsg_Destroy(reply) }
        return NATSMessage(reply).data
    }

    /// Receives what is sent to `subject` over this connection, until it is dropped.
    func subscribe(_ subject: String) throws(SinkError) -> NATSSubscription {
        let connection = try live()
        var subscription: OpaquePointer?
        try check(natsConnection_SubscribeSync(&subscription, connection, subject), "subscribe \(subject)")
        guard let subscription else { throw SinkError("subscribe \(subject): no subscription") }
        return NATSSubscription(subscription)
    }

    /// A subject for answers that is nobody else's.
    func inbox() -> String {
        "\(NATSOptions.inboxPrefix(settings)).\(String(UInt64.random(in: .min ... .max), radix: 36))"
    }
}
