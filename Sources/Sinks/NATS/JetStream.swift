import Events
import FoundationEssentials
import LinuxSystem

/// JetStream's API for one job, in JSON over core messages.
struct JetStream {
    let connection: NATSConnection
    let settings: NATSSettings

    /// A stream as far as publishing to it is concerned.
    struct Stream: Equatable {
        let name: String
        /// Bytes; nil if only the server limits it.
        let messageLimit: Int?
        /// When it is full it refuses, instead of dropping the oldest.
        let refusesWhenFull: Bool
    }

    /// The last message of a subject: its number in the job, the spool that it came from, and how far the journal was.
    struct Last: Equatable {
        let seq: Int64
        let spool: String?
        let journal: JournalCursor?
    }

    /// Streams that are made if `createsStreams` is set. Their limits are documented in docs/NATS.md.
    private static let standard: [(name: String, subject: String, bytes: Int64)] = [
        ("AGENT_LOGS", "logs.agent", 1 << 30), ("AGENT_EVENTS", "events.agent", 1 << 28),
        ("AGENT_CMD", "cmd.agent", 1 << 26),
    ]
    private static let second: Int64 = 1_000_000_000

    /// The name of the stream that keeps `subject`; nil if there is none.
    func keeper(of subject: String, until deadline: Deadline) throws(SinkError) -> String? {
        try call("STREAM.NAMES", ["subject": .string(subject)], deadline)["streams"]?.array?.first?.string
    }

    static func missing(_ subject: String) -> SinkError {
        SinkError(
            "no JetStream stream keeps \(subject); create one (docs/NATS.md) or set AGENT_NATS_CREATE_STREAMS=true")
    }

    /// The stream that keeps `subject`; it is made if that is wanted.
    ///
    /// - Throws: `SinkError` that says what to do if there is none.
    func stream(of subject: String, until deadline: Deadline) throws(SinkError) -> Stream {
        var name = try keeper(of: subject, until: deadline)
        if name == nil { name = try create(for: subject, deadline) }
        guard let name else { throw Self.missing(subject) }
        let info = try call("STREAM.INFO.\(name)", [:], deadline)
        let limit = info["config"]?["max_msg_size"]?.int ?? -1
        return Stream(
            name: name, messageLimit: limit > 0 ? limit : nil,
            refusesWhenFull: info["config"]?["discard"]?.string == "new")
    }

    private func create(for subject: String, _ deadline: Deadline) throws(SinkError) -> String? {
        guard settings.createsStreams, let stream = Self.standard.first(where: { subject.hasPrefix($0.subject + ".") })
        else { return nil }
        // Two jobs may do this at once: the same configuration is accepted twice.
        _ = try call(
            "STREAM.CREATE.\(stream.name)",
            [
                "name": .string(stream.name), "subjects": [.string(stream.subject + ".>")], "storage": "file",
                "retention": "limits", "discard": "old", "max_age": .int(7 * 86400 * Self.second),
                "max_bytes": .int(stream.bytes), "max_msgs": -1, "max_msg_size": -1, "max_consumers": -1,
                "num_replicas": 1, "duplicate_window": .int(120 * Self.second),
            ], deadline)
        return stream.name
    }

    /// The last message that the stream keeps for `subject`, nil if it keeps none.
    func last(of subject: String, in stream: Stream, until deadline: Deadline) throws(SinkError) -> Last? {
        let answer = try answer("STREAM.MSG.GET.\(stream.name)", ["last_by_subj": .string(subject)], deadline)
        if answer["error"]?["err_code"]?.int == 10037 { return nil }
        let message = try result(answer, "STREAM.MSG.GET.\(stream.name)")["message"]
        let headers = Self.headers(message?["hdrs"]?.string ?? "")
        // `<job>.<seq>`, and a job's name has no dot.
        let parts = headers["nats-msg-id"]?.split(separator: ".") ?? []
        guard parts.count >= 2, parts[0] == settings.job, let seq = Int64(parts[1]) else {
            throw SinkError(
                "\(subject) has messages that are not this program's; give the job another JOB_ID or purge the subject")
        }
        return Last(
            seq: seq, spool: headers["agent-spool"], journal: headers["agent-journal"].flatMap(JournalCursor.init))
    }

    private static func headers(_ base64: String) -> [String: String] {
        let text = Data(base64Encoded: base64).map { String(decoding: $0, as: UTF8.self) } ?? ""
        var result: [String: String] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            guard let mark = line.firstIndex(of: ":") else { continue }
            let value = line[line.index(after: mark)...].drop { $0 == " " }
            result[line[..<mark].lowercased()] = String(value)
        }
        return result
    }

    /// Makes the job's durable consumer of commands, or finds it; returns its name.
    func consumer(of stream: Stream, until deadline: Deadline) throws(SinkError) -> String {
        let name = "agent_\(settings.job)"
        _ = try call(
            "CONSUMER.DURABLE.CREATE.\(stream.name).\(name)",
            [
                "stream_name": .string(stream.name),
                "config": [
                    "durable_name": .string(name), "filter_subject": .string(settings.commands),
                    "deliver_policy": "all", "ack_policy": "explicit", "ack_wait": .int(30 * Self.second),
                    "max_ack_pending": 1, "max_deliver": -1, "replay_policy": "instant",
                ],
            ], deadline)
        return name
    }

    /// - Throws: `SinkError` with JetStream's words.
    func call(_ method: String, _ body: JSON, _ deadline: Deadline) throws(SinkError) -> JSON {
        try result(try answer(method, body, deadline), method)
    }

    private func answer(_ method: String, _ body: JSON, _ deadline: Deadline) throws(SinkError) -> JSON {
        let bytes = try connection.request(
            "$JS.API.\(method)", body.object?.isEmpty == true ? "" : body.text, until: deadline)
        guard let json = try? JSON(parsing: bytes) else { throw SinkError("\(method): the answer is not JSON") }
        return json
    }

    private func result(_ json: JSON, _ method: String) throws(SinkError) -> JSON {
        guard let error = json["error"] else { return json }
        throw SinkError("\(method): \(error["description"]?.string ?? "?") (\(error["err_code"]?.int ?? 0))")
    }
}
