import Events
import Gateway
import SecretRedaction
import Testing

struct RecordRedactionTests {
    private let secret = "s3cr3t/Value+\"quoted\"\\ü"
    private var redactor: Redactor { Redactor(secrets: [secret]) }

    @Test func `attributes and events are cleaned like bodies`() {
        let record = LogRecord(
            time: 0, stream: .journal, body: secret, attributes: ["a": ["b": [.string("x" + secret)]], "n": 7])
        let clean = redactor.redact(SpoolEntry(record, event: EventDraft("t", ["d": .string(secret)])))
        #expect(clean.record.body == Redactor.mark)
        #expect(clean.record.attributes == ["a": ["b": [.string("x" + Redactor.mark)]], "n": 7])
        #expect(clean.event?.data == ["d": .string(Redactor.mark)])
    }
}
