import AgentFixtures
import EventSinkConformance
import Events
import Glibc
import LinuxSystem
import Sinks
import Synchronization
import Testing

struct NATSSinkTests {
    let folder: TemporaryFolder
    let server: NATSServer

    init() throws {
        folder = try TemporaryFolder()
        server = try NATSServer(folder: folder.path)
    }

    private func sink(createsStreams: Bool = false, spool: String = "s") -> NATSSink {
        NATSSink(NATSSettings(url: server.url, job: "j", createsStreams: createsStreams), spool: spool)
    }

    private func seqs(_ subject: String = "logs.agent.j") throws -> [Int] {
        try NATSClient(server).stored(subject).compactMap { $0.json["seq"]?.int }
    }

    @Test func `without a stream nothing is taken, and the error says what to do`() throws {
        let sink = sink()
        let error = try #require(throws: SinkError.self) { try sink.deliver(EventSinkConformance.deliveries(1...3)) }
        #expect(error.description.contains("logs.agent.j"))
        #expect(error.description.contains("AGENT_NATS_CREATE_STREAMS"))
        // As soon as there is one, all goes there.
        let client = try NATSClient(server)
        try client.createStream("OURS", subjects: ["logs.agent.>"])
        try client.createStream("THEIRS", subjects: ["events.agent.>"])
        #expect(try sink.deliver(EventSinkConformance.deliveries(1...3)) == 3)
        #expect(try seqs() == [1, 2, 3])
    }

    @Test func `streams are made only when that is wanted, and of the documented kind`() throws {
        #expect(throws: SinkError.self) { try sink().deliver(EventSinkConformance.deliveries(1...1)) }
        let client = try NATSClient(server)
        #expect(try client.call("STREAM.NAMES", [:])["streams"]?.array?.isEmpty != false)
        #expect(try sink(createsStreams: true).deliver(EventSinkConformance.deliveries(1...1)) == 1)
        let config = try client.call("STREAM.INFO.AGENT_LOGS", [:])["config"]
        #expect(config?["subjects"] == ["logs.agent.>"])
        #expect(config?["storage"] == "file")
        #expect(config?["discard"] == "old")
        #expect(try client.call("STREAM.INFO.AGENT_EVENTS", [:])["config"]?["subjects"] == ["events.agent.>"])
    }

    @Test func `one stream for logs and events keeps both of a record`() throws {
        try NATSClient(server).createStream("ALL", subjects: ["*.agent.>"])
        #expect(try sink().deliver(EventSinkConformance.deliveries(1...3)) == 3)
        #expect(try seqs() == [1, 2, 3])
        #expect(try NATSClient(server).stored("events.agent.j").count == 1)
    }

    @Test func `through kills of the server every record arrives once and in order`() throws {
        var sink: any EventSink = sink(createsStreams: true)
        let all = EventSinkConformance.deliveries(1...3000)
        try EventSinkConformance.give(Array(all[..<10]), to: &sink)
        var rest = all[10...]
        var rounds = 0
        let deadline = Deadline.after(milliseconds: 180_000)
        while let first = rest.first {
            try #require(!deadline.hasPassed, "it does not get beyond \(first.seq)")
            rounds += 1
            if rounds % 7 == 3 { server.kill() }
            if rounds % 7 == 5 { try server.start() }
            if let taken = try? sink.deliver(Array(rest.prefix(100))), taken >= first.seq {
                rest = rest.drop { $0.seq <= taken }
            } else {
                usleep(50000)
            }
        }
        if rounds % 7 == 3 || rounds % 7 == 4 { try server.start() }
        let stored = try seqs()
        #expect(stored.count == 3000)
        for (index, seq) in stored.enumerated() where seq != index + 1 {
            Issue.record("in place \(index + 1) stands \(stored[max(0, index - 3)...].prefix(12))")
            break
        }
    }

    @Test func `beyond the window for duplicates nothing is doubled either`() throws {
        let client = try NATSClient(server)
        // The shortest window that the server takes.
        try client.createStream("L", subjects: ["logs.agent.>"], ["duplicate_window": 100_000_000])
        try client.createStream("E", subjects: ["events.agent.>"], ["duplicate_window": 100_000_000])
        #expect(try sink().deliver(EventSinkConformance.deliveries(1...50)) == 50)
        usleep(500_000)
        // A gateway that was killed before it could note what was taken gives it again.
        #expect(try sink().deliver(EventSinkConformance.deliveries(1...60)) == 60)
        #expect(try seqs() == Array(1...60))
        #expect(try client.stored("events.agent.j").count == 20)
    }

    @Test func `a new spool is told what an earlier one has published, and is refused below that`() throws {
        _ = try sink(createsStreams: true, spool: "old").deliver(EventSinkConformance.deliveries(1...7))
        // How far the journal was is in the last message: every event but the last record's is shipped.
        #expect(sink(spool: "new").lastTaken() == Holding(seq: 7, journal: JournalCursor(seq: 107, mark: "1:7:test")))
        let error = try #require(throws: SinkError.self) {
            try sink(spool: "new").deliver(EventSinkConformance.deliveries(1...9))
        }
        #expect(error.description.contains("another run of this job"))
        #expect(try sink(spool: "new").deliver(EventSinkConformance.deliveries(8...9)) == 9)
        #expect(try seqs() == Array(1...9))
    }

    @Test func `a record that the stream never takes is replaced, not waited for`() throws {
        let client = try NATSClient(server)
        try client.createStream("L", subjects: ["logs.agent.>"], ["max_msg_size": 2000])
        try client.createStream("E", subjects: ["events.agent.>"])
        let long = LogRecord(time: 0, stream: .journal, body: String(repeating: "x", count: 5000))
        let deliveries = [Delivery(seq: 1, record: long.json(job: "j", seq: 1).text)]
        #expect(try sink().deliver(deliveries + EventSinkConformance.deliveries(2...3)) == 3)
        #expect(try seqs() == [1, 2, 3])
        #expect(try client.stored("logs.agent.j").first?.json["attributes"] == ["truncated": true])
    }

    @Test func `a stream that is full and refuses holds the records up, in order`() throws {
        let client = try NATSClient(server)
        try client.createStream("L", subjects: ["logs.agent.>"], ["max_msgs": 5, "discard": "new"])
        try client.createStream("E", subjects: ["events.agent.>"])
        let sink = sink()
        #expect(try sink.deliver(EventSinkConformance.deliveries(1...20)) == 5)
        #expect(throws: SinkError.self) { try sink.deliver(EventSinkConformance.deliveries(6...20)) }
        _ = try client.call("STREAM.PURGE.L", ["keep": 1])
        #expect(try sink.deliver(EventSinkConformance.deliveries(6...20)) == 9)
        #expect(try seqs() == Array(5...9))
    }

    @Test func `credentials that were exchanged are used from the next connection on`() throws {
        let own = try TemporaryFolder()
        let guarded = try NATSServer(folder: own.path, options: ["--auth", "the-second-token"])
        var settings = NATSSettings(
            url: guarded.url, credentials: .token("the-first-token"), job: "j", createsStreams: true)
        let current = Mutex<NATSSettings.Credentials?>(nil)
        settings.currentCredentials = { current.withLock { $0 } }
        let sink = NATSSink(settings, spool: "s")
        func refusal() throws -> String {
            try #require(throws: SinkError.self) { try sink.deliver(EventSinkConformance.deliveries(1...1)) }
                .description
        }
        // Of those that cannot be read nothing is known: the former ones go on.
        for _ in 1...3 { #expect(try !refusal().contains("the-first-token")) }
        current.withLock { $0 = .token("the-second-token") }
        var taken: Int64?
        let deadline = Deadline.after(milliseconds: 60000)
        while taken == nil, !deadline.hasPassed { taken = try? sink.deliver(EventSinkConformance.deliveries(1...1)) }
        #expect(taken == 1)
        // And back again, with the connection lost.
        guarded.kill()
        let other = try NATSServer(folder: own.path, port: guarded.port, options: ["--auth", "the-third-token"])
        #expect(try !refusal().contains("the-second-token"))
        current.withLock { $0 = .token("the-third-token") }
        taken = nil
        while taken == nil, !deadline.hasPassed { taken = try? sink.deliver(EventSinkConformance.deliveries(2...2)) }
        #expect(taken == 2)
        other.kill()
    }

    @Test func `a wrong password is an error that names the server and not the password`() throws {
        let own = try TemporaryFolder()
        let guarded = try NATSServer(folder: own.path, options: ["--user", "u", "--pass", "right-password"])
        let url = "nats://u:wrong-password@127.0.0.1:\(guarded.port)"
        let sink = NATSSink(NATSSettings(url: url, job: "j"), spool: "s")
        for _ in 0..<3 {
            let error = try #require(throws: SinkError.self) {
                try sink.deliver(EventSinkConformance.deliveries(1...1))
            }
            #expect(error.description.contains("127.0.0.1:\(guarded.port)"))
            #expect(!error.description.contains("wrong-password"))
            usleep(300_000)
        }
        let good = NATSSettings(
            url: guarded.url, credentials: .user("u", password: "right-password"), job: "j", createsStreams: true)
        #expect(try NATSSink(good, spool: "s").deliver(EventSinkConformance.deliveries(1...1)) == 1)
    }
}
