import AgentFixtures
import EventSinkConformance
import Events
import Glibc
import LinuxSystem
import Sinks
import Testing

struct OutputTests {
    @Test func `a closed stdout takes everything, so that nothing waits for it`() throws {
        signal(SIGPIPE, SIG_IGN)
        var pipe = try Pipe()
        pipe.reader = Descriptor(adopting: try retrying("open") { open("/dev/null", O_RDONLY | O_CLOEXEC) })
        var sink = StandardOutputSink(descriptor: pipe.writer.number)
        #expect(try sink.deliver(EventSinkConformance.deliveries(1...10)) == 10)
        #expect(try sink.deliver(EventSinkConformance.deliveries(11...20)) == 20)
    }

    @Test func `a stdout that nobody reads is an error, and a record half written is finished later`() throws {
        let pipe = try Pipe()
        var sink = StandardOutputSink(descriptor: pipe.writer.number)
        let deliveries = EventSinkConformance.deliveries(1...2000)
        // The pipe holds 64 KiB; the rest cannot go anywhere.
        #expect(throws: SinkError.self) { try sink.deliver(deliveries) }
        try setNonBlocking(pipe.reader.number, true)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 1)
        defer { buffer.deallocate() }
        var text: [UInt8] = []
        func drain() throws {
            while case .bytes(let count) = try readSome(pipe.reader.number, into: buffer) { text += buffer[..<count] }
        }
        try drain()
        let written = text.count { $0 == 0x0a }
        try #require(written > 0 && written < 2000)
        // All that was not reported as taken is given again; what was cut in the middle is whole in the end.
        #expect(try sink.deliver(Array(deliveries[written...(written + 5)])) == Int64(written + 6))
        try drain()
        let lines = String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
        #expect(lines == deliveries[...(written + 5)].map(\.record))
    }

    @Test func `half a line that a crash left in the file is cut off`() throws {
        let folder = try TemporaryFolder()
        let deliveries = EventSinkConformance.deliveries(1...3)
        try folder.write("log", deliveries[0].record + "\n" + deliveries[1].record.prefix(20))
        let sink = try LogFileSink(path: folder.path + "/log", job: "j")
        #expect(sink.lastTaken()?.seq == 1)
        #expect(try sink.deliver(Array(deliveries[1...])) == 3)
        #expect(try folder.read("log") == deliveries.map { $0.record + "\n" }.joined())
    }

    @Test func `another job's file is gone on with from our own first record`() throws {
        let folder = try TemporaryFolder()
        try folder.write("log", EventSinkConformance.deliveries(9...9, job: "other")[0].record + "\n")
        let sink = try LogFileSink(path: folder.path + "/log", job: "j")
        #expect(sink.lastTaken() == .nothing)
    }

    @Test func `after a rotation the file is made anew`() throws {
        let folder = try TemporaryFolder()
        let deliveries = EventSinkConformance.deliveries(1...2)
        let sink = try LogFileSink(path: folder.path + "/log", job: "j")
        _ = try sink.deliver([deliveries[0]])
        #expect(rename(folder.path + "/log", folder.path + "/log.1") == 0)
        _ = try sink.deliver([deliveries[1]])
        #expect(try folder.read("log.1") == deliveries[0].record + "\n")
        #expect(try folder.read("log") == deliveries[1].record + "\n")
    }

    @Test func `a file that cannot be opened is an error with the setting's name`() throws {
        let error = try #require(throws: SinkError.self) { try LogFileSink(path: "/nowhere/agent.log", job: "j") }
        #expect(error.description.contains("AGENT_LOG_FILE /nowhere/agent.log"))
    }
}
