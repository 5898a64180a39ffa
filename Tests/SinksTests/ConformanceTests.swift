import AgentFixtures
import EventSinkConformance
import Events
import Glibc
import LinuxSystem
import Sinks
import Testing

/// stdout, which is a file here.
private final class OutputMedium: SinkMedium {
    let folder: TemporaryFolder
    let file: Descriptor
    let make: (Int32) -> any EventSink
    let removesRepetitions = false

    init(_ make: @escaping (Int32) -> any EventSink) throws {
        folder = try TemporaryFolder()
        try folder.write("out", "")
        let path = folder.path + "/out"
        file = Descriptor(adopting: try retrying("open") { open(path, O_WRONLY | O_APPEND | O_CLOEXEC) })
        self.make = make
    }

    func sink() throws -> any EventSink { make(file.number) }

    func taken() throws -> [Int64] {
        try folder.read("out").split(separator: "\n").map { line in
            let start = try #require(line.firstRange(of: "record ")).upperBound
            return try #require(Int64(line[start...].prefix { $0.isNumber }))
        }
    }
}

private struct FileMedium: SinkMedium {
    let folder: TemporaryFolder
    let removesRepetitions = true

    func sink() throws -> any EventSink { try LogFileSink(path: folder.path + "/agent.log", job: "j") }

    func taken() throws -> [Int64] {
        try folder.read("agent.log").split(separator: "\n").map { line in
            Int64(try #require(try JSON(parsing: String(line))["seq"]?.int))
        }
    }
}

private struct NATSMedium: SinkMedium {
    let server: NATSServer
    let removesRepetitions = true

    func sink() throws -> any EventSink {
        NATSSink(NATSSettings(url: server.url, job: "j", createsStreams: true), spool: "s")
    }

    func taken() throws -> [Int64] {
        let client = try NATSClient(server)
        let events = try client.stored("events.agent.j").compactMap { $0.json["data"]?["number"]?.int }
        let logs = try client.stored("logs.agent.j")
        for message in logs { #expect(message.id == "j.\(message.json["seq"]?.int ?? 0)") }
        let numbers = logs.compactMap { $0.json["seq"]?.int.map(Int64.init) }
        #expect(events.map(Int64.init) == numbers.filter { $0 % 3 == 0 && $0 != 450 })
        return numbers
    }
}

struct ConformanceTests {
    @Test func `JSON lines on stdout keep the contract of a sink`() throws {
        try EventSinkConformance(try OutputMedium { StandardOutputSink(descriptor: $0) }).run()
    }

    @Test func `the terminal keeps the contract of a sink`() throws {
        try EventSinkConformance(
            try OutputMedium { TerminalSink(descriptor: $0, style: TerminalStyle(hasColour: false)) }
        ).run()
    }

    @Test func `the log file keeps the contract of a sink`() throws {
        try EventSinkConformance(FileMedium(folder: try TemporaryFolder())).run()
    }

    @Test func `NATS keeps the contract of a sink`() throws {
        let folder = try TemporaryFolder()
        try EventSinkConformance(NATSMedium(server: try NATSServer(folder: folder.path))).run()
    }
}
