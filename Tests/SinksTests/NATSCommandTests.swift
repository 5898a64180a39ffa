import AgentFixtures
import Events
import Glibc
import LinuxSystem
import Sinks
import Testing

struct NATSCommandTests {
    let folder: TemporaryFolder
    let server: NATSServer
    let client: NATSClient

    init() throws {
        folder = try TemporaryFolder()
        server = try NATSServer(folder: folder.path)
        client = try NATSClient(server)
        try client.createStream("AGENT_CMD", subjects: ["cmd.agent.>"])
    }

    private func source() -> NATSCommandSource { NATSCommandSource(NATSSettings(url: server.url, job: "j")) }

    /// The next thing that comes, over reconnections.
    private func next(_ source: NATSCommandSource) throws -> Incoming {
        let deadline = Deadline.after(milliseconds: 60000)
        while !deadline.hasPassed {
            if let incoming = try? source.next(wait: 500) { return incoming }
        }
        throw SinkError("nothing came")
    }

    @Test func `commands come one at a time, in order, each until it is acknowledged`() throws {
        try client.publish("cmd.agent.j", #"{"kind":"task","text":"do it"}"#)
        try client.publish("cmd.agent.j", #"{"id":"mine","kind":"cancel"}"#)
        try client.publish("cmd.agent.other", #"{"kind":"cancel"}"#)
        let source = source()
        #expect(try next(source) == .command(Command(id: "nats-1", kind: .task, text: "do it")))
        #expect(try source.next(wait: 300) == nil)
        try source.acknowledge()
        #expect(try next(source) == .command(Command(id: "mine", kind: .cancel, text: "")))
        try source.acknowledge()
        #expect(try source.next(wait: 300) == nil)
        let info = try client.call("CONSUMER.INFO.AGENT_CMD.agent_j", [:])
        #expect(info["ack_floor"]?["stream_seq"]?.int == 2)
        #expect(info["config"]?["max_ack_pending"]?.int == 1)
    }

    @Test func `what is no command is put away for good and reported once`() throws {
        try client.publish("cmd.agent.j", "rubbish")
        try client.publish("cmd.agent.j", #"{"kind":"pause"}"#)
        let source = source()
        guard case .refused(let text) = try next(source) else {
            Issue.record("rubbish was not refused")
            return
        }
        #expect(text.contains("message 1") && text.contains("not JSON"))
        #expect(try next(source) == .command(Command(id: "nats-2", kind: .pause, text: "")))
        try source.acknowledge()
        #expect(try client.call("CONSUMER.INFO.AGENT_CMD.agent_j", [:])["num_ack_pending"]?.int == 0)
    }

    @Test func `after a kill of the server commands come on`() throws {
        let source = source()
        #expect(try source.next(wait: 100) == nil)
        server.kill()
        for _ in 0..<3 { _ = try? source.next(wait: 100) }
        try server.start()
        try NATSClient(server).publish("cmd.agent.j", #"{"kind":"resume"}"#)
        #expect(try next(source) == .command(Command(id: "nats-1", kind: .resume, text: "")))
        try source.acknowledge()
    }

    @Test func `without a stream the error says what to do`() throws {
        let own = try TemporaryFolder()
        let empty = try NATSServer(folder: own.path)
        let source = NATSCommandSource(NATSSettings(url: empty.url, job: "j"))
        let error = try #require(throws: SinkError.self) { try source.next(wait: 100) }
        #expect(error.description.contains("cmd.agent.j"))
    }
}
