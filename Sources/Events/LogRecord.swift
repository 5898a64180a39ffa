import FoundationEssentials

/// One record of the job's log, in the OpenTelemetry log data model.
///
/// What is published to `logs.agent.<job>`, printed on stdout and kept in the gateway's spool is this, one JSON object
/// a record (docs/NATS.md).
package struct LogRecord: Equatable, Sendable {
    /// The severity numbers of OpenTelemetry (logs data model, "Severity Fields").
    package enum Severity: Int, Sendable {
        case debug = 5
        case info = 9
        case warn = 13
        case error = 17

        package var text: String {
            switch self {
            case .debug: "DEBUG"
            case .info: "INFO"
            case .warn: "WARN"
            case .error: "ERROR"
            }
        }
    }

    /// Where a record came from.
    package enum Stream: String, Sendable {
        /// An event of the checkpoint's journal.
        case journal
        /// A line that the loop wrote.
        case stdout, stderr
        /// The gateway itself.
        case gateway
        /// PID 1's account of a process of ours that died.
        case lastGasp = "last_gasp"
    }

    /// Milliseconds since 1970.
    package var time: Int64
    package var severity: Severity
    package var stream: Stream
    package var body: String
    /// Further facts under stable names; `event.name` is the kind of a journal event.
    package var attributes: [String: JSON]

    package init(
        time: Int64, severity: Severity = .info, stream: Stream, body: String, attributes: [String: JSON] = [:]
    ) {
        self.time = time
        self.severity = severity
        self.stream = stream
        self.body = body
        self.attributes = attributes
    }

    /// The wire form. `seq` counts the records of a job from 1 without a gap, over all restarts.
    package func json(job: String, seq: Int64) -> JSON {
        [
            "timestamp": .string(timestamp(time)),
            "severity_text": .string(severity.text),
            "severity_number": .int(Int64(severity.rawValue)),
            "body": .string(body),
            "attributes": .object(attributes),
            "job_id": .string(job),
            "seq": .int(seq),
            "stream": .string(stream.rawValue),
        ]
    }
}

/// RFC 3339 in UTC with milliseconds.
package func timestamp(_ milliseconds: Int64) -> String {
    // The style cuts what is below a millisecond off, and most milliseconds have no exact double.
    Date(timeIntervalSince1970: (Double(milliseconds) + 0.5) / 1000)
        .formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
}
