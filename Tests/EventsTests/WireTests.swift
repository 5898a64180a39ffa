import Events
import Testing

struct WireTests {
    @Test func `a log record has the fields of the OpenTelemetry data model and the job's own`() {
        let record = LogRecord(
            time: 1_700_000_000_123, severity: .warn, stream: .stderr, body: "text", attributes: ["a": 1])
        let expected: JSON = [
            "timestamp": "2023-11-14T22:13:20.123Z", "severity_text": "WARN", "severity_number": 13, "body": "text",
            "attributes": ["a": 1], "job_id": "j", "seq": 7, "stream": "stderr",
        ]
        #expect(record.json(job: "j", seq: 7) == expected)
    }

    @Test func `an event is a structured CloudEvent whose id is its message id`() {
        let event = CloudEvent(seq: 7, type: "agent.started", time: 0, data: ["a": 1])
        let expected: JSON = [
            "specversion": "1.0", "id": "j.7", "source": "/agent/j", "subject": "j", "type": "agent.started",
            "time": "1970-01-01T00:00:00.000Z", "datacontenttype": "application/json", "data": ["a": 1],
        ]
        #expect(event.json(job: "j") == expected)
    }
}
