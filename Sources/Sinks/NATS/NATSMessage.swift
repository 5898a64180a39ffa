import CNATS
import Events

/// What came in one message.
struct NATSMessage {
    let subject: String
    let reply: String?
    let data: [UInt8]
    /// JetStream's word about a request, `408` and the like; nil for an ordinary message.
    let status: String?

    init(_ message: OpaquePointer) {
        subject = natsMsg_GetSubject(message).map { String(cString: $0) } ?? ""
        reply = natsMsg_GetReply(message).map { String(cString: $0) }
        let bytes = UnsafeRawBufferPointer(start: natsMsg_GetData(message), count: Int(natsMsg_GetDataLength(message)))
        data = Array(bytes)
        var value: UnsafePointer<CChar>?
        status = natsMsgHeader_Get(message, "Status", &value) == NATS_OK ? value.map { String(cString: $0) } : nil
    }
}

/// Messages as they come. Ends with its owner.
final class NATSSubscription {
    private let handle: OpaquePointer

    init(_ handle: OpaquePointer) { self.handle = handle }

    deinit { natsSubscription_Destroy(handle) }

    /// The next message, nil if none came in that many milliseconds.
    ///
    /// - Throws: `SinkError` if the subscription is no longer one.
    func next(wait: Int64) throws(SinkError) -> NATSMessage? {
        var message: OpaquePointer?
        let status = natsSubscription_NextMsg(&message, handle, max(1, wait))
        // A message without data and with status 503 is also reported as NATS_NO_RESPONDERS by some versions.
        if status == NATS_TIMEOUT { return nil }
        guard status == NATS_OK, let message else {
            throw SinkError("subscription: \(natsStatus_GetText(status).map { String(cString: $0) } ?? "?")")
        }
        defer { natsMsg_Destroy(message) }
        return NATSMessage(message)
    }
}
