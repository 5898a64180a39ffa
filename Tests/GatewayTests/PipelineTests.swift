import Agent
import AgentFixtures
import Contracts
import Events
import Gateway
import Glibc
import LinuxSystem
import Testing

struct PipelineTests {
    let folder: TemporaryFolder
    let journal = MemoryJournal()
    let collector = Collector()
    let health = Health()
    var path: String { folder.path + "/spool_j.db" }

    init() throws { folder = try TemporaryFolder() }

    private func pipeline(
        sinks: [SinkPlan]? = nil, commands: CommandPlan? = nil, _ set: (inout GatewayConfiguration) -> Void = { _ in }
    ) throws -> Pipeline {
        var configuration = GatewayConfiguration(job: "j", spoolPath: path)
        configuration.secrets = ["topsecret-value"]
        set(&configuration)
        return try Pipeline(
            configuration, journal: journal, sinks: sinks ?? [collector.plan()], commands: commands, health: health)
    }

    /// Rounds until something is so; fails after a minute.
    private func run(_ pipeline: Pipeline, until condition: () -> Bool) throws {
        let deadline = Deadline.after(milliseconds: 60000)
        while !condition() {
            try #require(!deadline.hasPassed, "it never came about")
            try pipeline.round(until: .after(milliseconds: 50))
        }
    }

    @Test func `the journal, both pipes and nothing else become records, once and in order`() throws {
        let output = try TestPipe()
        let errors = try TestPipe()
        journal.append([MemoryJournal.note("first")])
        let pipeline = try pipeline {
            $0.loopStandardOutput = output.reader
            $0.loopStandardError = errors.reader
        }
        try writeAll(output.writer, "said\n")
        try writeAll(errors.writer, "went wrong\n")
        try run(pipeline) { collector.seqs.count == 3 }
        journal.append([MemoryJournal.note("second")])
        try run(pipeline) { collector.seqs.count == 4 }
        #expect(collector.seqs == [1, 2, 3, 4])
        let streams = Set(collector.records.map { "\($0["stream"]?.string ?? ""): \($0["body"]?.string ?? "")" })
        #expect(
            streams == [
                "journal: told the model: first", "stdout: said", "stderr: went wrong",
                "journal: told the model: second",
            ])
    }

    @Test func `the line by which the loop ends is known by its name, on stderr alone`() throws {
        let output = try TestPipe()
        let errors = try TestPipe()
        let pipeline = try pipeline {
            $0.loopStandardOutput = output.reader
            $0.loopStandardError = errors.reader
        }
        let end = EndLine.text(outcome: "failed", exit: 1, reason: "so")
        try writeAll(output.writer, end + "\n")
        try writeAll(errors.writer, "\(end)\nagent-init: another line\n")
        try run(pipeline) { collector.seqs.count == 3 }
        let named = collector.records.filter { $0["attributes"]?["event.name"]?.string == "process_end" }
        #expect(named.map { $0["body"]?.string } == [end])
        #expect(named.map { $0["stream"]?.string } == ["stderr"])
    }

    private func gasp(_ name: String, _ head: String, _ output: String) throws {
        try makeFolder(folder.path + "/gasps")
        try folder.write("gasps/\(name)", head + "\n" + output)
    }

    @Test func `a last-gasp record is shipped once, redacted, and its file goes`() throws {
        try gasp(
            "1-loop-7.gasp",
            "child=loop\tpid=7\ttime=1000\tcause=was killed by signal 11 (SIGSEGV)\tsignal=SIGSEGV\tmax_rss_kb=9\t"
                + "phase=TACTICAL\tstep=3\tseq=9\tdoing=call 3.0 (execute)\toutput_bytes=30",
            "stack\ntopsecret-value was there\n")
        try gasp("2-loop-8.part", "child=loop", "half a record")
        let pipeline = try pipeline { $0.gasps = folder.path + "/gasps" }
        try run(pipeline) { collector.seqs.count == 1 && access(folder.path + "/gasps/1-loop-7.gasp", F_OK) != 0 }
        let record = try #require(collector.records.first)
        #expect(
            record["body"]?.string
                == "the loop was killed by signal 11 (SIGSEGV); the last it wrote:\nstack\n[redacted] was there\n")
        #expect(record["stream"]?.string == "last_gasp")
        #expect(record["severity_text"]?.string == "ERROR")
        #expect(record["timestamp"]?.string == "1970-01-01T00:00:01.000Z")
        let attributes = try #require(record["attributes"])
        #expect(attributes["process.signal"]?.string == "SIGSEGV")
        #expect(attributes["agent.doing"]?.string == "call 3.0 (execute)")
        #expect(attributes["journal.seq"]?.int == 9)
        #expect(try pipeline.finish(by: .after(milliseconds: 5000)).isEmpty)
        #expect(collector.seqs == [1])
    }

    @Test func `64 KiB of last words are shipped whole`() throws {
        let words = String(repeating: "0123456789abcde\n", count: 4096)
        try gasp("1-loop-7.gasp", "child=loop\toutput_bytes=65536", words)
        let pipeline = try pipeline { $0.gasps = folder.path + "/gasps" }
        try run(pipeline) { collector.seqs.count == 1 }
        #expect(collector.bodies.first?.hasSuffix(words) == true)
    }

    @Test
    func `a gateway killed between storing a last-gasp record and deleting its file ships it once`() throws {
        try gasp("1-loop-7.gasp", "child=loop", "")
        let stored = try Spool(path: path, job: "j", limit: 1 << 20, sinks: [])
        try stored.commit([
            SpoolEntry(LogRecord(time: 1, stream: .lastGasp, body: "the loop ended"), gasp: "1-loop-7.gasp")
        ])
        let pipeline = try pipeline { $0.gasps = folder.path + "/gasps" }
        try run(pipeline) {
            !collector.seqs.isEmpty && access(folder.path + "/gasps/1-loop-7.gasp", F_OK) != 0
        }
        #expect(try pipeline.finish(by: .after(milliseconds: 5000)).isEmpty)
        #expect(collector.bodies == ["the loop ended"])
    }

    @Test func `a last-gasp record that cannot be read is said, and nothing else is held up`() throws {
        try makeFolder(folder.path + "/gasps/1-loop-7.gasp")
        journal.append([MemoryJournal.note("first")])
        let pipeline = try pipeline { $0.gasps = folder.path + "/gasps" }
        try run(pipeline) { collector.seqs.count == 2 }
        #expect(collector.bodies.contains { $0.hasPrefix("a last-gasp record cannot be shipped: ") })
    }

    @Test func `secrets reach neither sink nor spool`() throws {
        let output = try TestPipe()
        journal.append([MemoryJournal.note("it is topsecret-value")])
        let pipeline = try pipeline { $0.loopStandardOutput = output.reader }
        try writeAll(output.writer, "topsecret-value\n")
        try run(pipeline) { collector.seqs.count == 2 }
        #expect(Set(collector.bodies) == ["told the model: it is [redacted]", "[redacted]"])
        for name in try namesInFolder(folder.path) {
            let bytes = try readFile(folder.path + "/" + name, limit: 1 << 24)
            #expect(Array("topsecret-value".utf8).isContained(in: bytes) == false, "\(name)")
        }
    }

    @Test func `a secret that is exchanged while it runs is cut out from its first use on, and so is the former`()
        throws
    {
        let secrets = try TemporaryFolder()
        try secrets.write("key", "first-value")
        let output = try TestPipe()
        let pipeline = try pipeline {
            $0.loopStandardOutput = output.reader
            $0.secretsFolder = secrets.path
        }
        for value in ["first-value", "second-value", "third-value"] {
            // As whoever uses it: first it is there, then it is read, then it may be said.
            try secrets.write("key.new", value)
            try retrying("rename") { rename(secrets.path + "/key.new", secrets.path + "/key") }
            try writeAll(output.writer, "now \(value), before first-value\n")
            journal.append([MemoryJournal.note("\(value), first-value")])
            let wanted = collector.seqs.count + 2
            try run(pipeline) { collector.seqs.count == wanted }
        }
        #expect(
            Set(collector.bodies) == ["now [redacted], before [redacted]", "told the model: [redacted], [redacted]"])
    }

    @Test func `a line without an end is not cut through a secret that is new`() throws {
        let secrets = try TemporaryFolder()
        try secrets.write("key", "first-value")
        let output = try TestPipe()
        let pipeline = try pipeline {
            $0.loopStandardOutput = output.reader
            $0.secretsFolder = secrets.path
        }
        try pipeline.round(until: .after(milliseconds: 0))
        try secrets.write("key", "second-value-and-longer")
        try writeAll(output.writer, "it is second-value")
        try run(pipeline) { collector.bodies == ["it is "] }
        try writeAll(output.writer, "-and-longer\n")
        try run(pipeline) { collector.seqs.count == 2 }
        #expect(collector.bodies == ["it is ", "[redacted]"])
    }

    @Test func `a sink that fails gets all of it later, the others at once`() throws {
        let slow = Collector()
        slow.fails("not today")
        let pipeline = try pipeline(sinks: [collector.plan(), slow.plan("slow")])
        journal.append((1...300).map { MemoryJournal.note("\($0)") })
        try run(pipeline) { collector.seqs.count >= 301 }
        #expect(slow.seqs.isEmpty)
        #expect(collector.bodies.contains { $0.contains("slow takes no records: not today") })
        slow.fails(nil)
        try run(pipeline) { slow.seqs.count == 302 && collector.seqs.count == 302 }
        #expect(slow.seqs == Array(1...302))
        #expect(collector.bodies.last?.contains("slow takes records again") == true)
    }

    @Test func `a new gateway goes on where the last one stopped`() throws {
        journal.append([MemoryJournal.note("1"), MemoryJournal.note("2")])
        do {
            let pipeline = try pipeline()
            try run(pipeline) { collector.seqs.count == 2 }
            #expect(try pipeline.finish(by: .after(milliseconds: 60000)).isEmpty)
        }
        journal.append([MemoryJournal.note("3")])
        let pipeline = try pipeline()
        try run(pipeline) { collector.seqs.count == 3 }
        #expect(collector.seqs == [1, 2, 3])
        #expect(collector.bodies.last == "told the model: 3")
    }

    @Test func `a new spool numbers on after what a sink holds of the job`() throws {
        let holder = Collector(holds: Holding(seq: 41))
        journal.append([MemoryJournal.note("1")])
        let pipeline = try pipeline(sinks: [holder.plan()])
        try run(pipeline) { holder.seqs == [42] }
    }

    @Test func `a new spool follows the journal from where a sink's records end`() throws {
        journal.append([MemoryJournal.note("1"), MemoryJournal.note("2")])
        do {
            let pipeline = try pipeline()
            try run(pipeline) { collector.seqs.count == 2 }
            _ = try pipeline.finish(by: .after(milliseconds: 60000))
        }
        // Another volume: the journal has come there, the spool has not.
        for suffix in ["", "-wal", "-shm"] { unlink(path + suffix) }
        journal.append([MemoryJournal.note("3")])
        let holder = Collector(holds: Holding(seq: 2, journal: collector.journal))
        let pipeline = try pipeline(sinks: [holder.plan()])
        try run(pipeline) { holder.seqs.count == 1 }
        #expect(holder.seqs == [3] && holder.bodies == ["told the model: 3"])
    }

    @Test func `a new spool whose journal ends before what a sink holds says so and follows its end`() throws {
        journal.append((1...5).map { MemoryJournal.note("\($0)") })
        do {
            let pipeline = try pipeline()
            try run(pipeline) { collector.seqs.count == 5 }
            _ = try pipeline.finish(by: .after(milliseconds: 60000))
        }
        for suffix in ["", "-wal", "-shm"] { unlink(path + suffix) }
        journal.replace(try journal.events(after: 0, limit: 3))
        let holder = Collector(holds: Holding(seq: 5, journal: collector.journal))
        let pipeline = try pipeline(sinks: [holder.plan()])
        journal.append([MemoryJournal.note("4 again")])
        try run(pipeline) { holder.seqs.count == 2 }
        #expect(holder.seqs == [6, 7] && holder.bodies[0].contains("put back from a backup"))
        #expect(holder.bodies[1] == "told the model: 4 again")
    }

    @Test func `a sink that cannot be made ends the gateway before it begins`() throws {
        let bad = SinkPlan("bad") { _ throws(SinkError) in throw SinkError("AGENT_LOG_FILE cannot be opened") }
        let error = try #require(throws: GatewayError.self) { try pipeline(sinks: [collector.plan(), bad]) }
        #expect(error.exit == .configuration && error.description.contains("AGENT_LOG_FILE"))
    }

    @Test func `a journal that was put back from a backup is followed from its end, and a record says so`() throws {
        journal.append((1...5).map { MemoryJournal.note("\($0)") })
        do {
            let pipeline = try pipeline()
            try run(pipeline) { collector.seqs.count == 5 }
            _ = try pipeline.finish(by: .after(milliseconds: 60000))
        }
        journal.replace(try journal.events(after: 0, limit: 3))
        let pipeline = try pipeline()
        try run(pipeline) { collector.seqs.count == 6 }
        journal.append([MemoryJournal.note("4 again")])
        try run(pipeline) { collector.seqs.count == 7 }
        #expect(collector.bodies.suffix(2)[5].contains("put back from a backup"))
        #expect(collector.bodies.last == "told the model: 4 again")
    }

    @Test func `a gateway that starts while the loop puts a backup in the journal's place waits for it`() throws {
        journal.append([MemoryJournal.note("1")])
        journal.fails(StoreError(.unusable, "damaged"), times: 5)
        let pipeline = try pipeline()
        try run(pipeline) { collector.bodies == ["told the model: 1"] }
    }

    @Test func `a journal that cannot be read now is read later`() throws {
        let pipeline = try pipeline()
        journal.fails(StoreError(.inputOutput, "busy"))
        journal.append([MemoryJournal.note("1")])
        try run(pipeline) { collector.bodies.contains { $0.contains("the journal cannot be read: busy") } }
        journal.fails(nil)
        try run(pipeline) { collector.bodies.last == "told the model: 1" }
    }

    @Test func `the end delivers what is left, the unfinished line too`() throws {
        let output = try TestPipe()
        let pipeline = try pipeline { $0.loopStandardOutput = output.reader }
        journal.append((1...1000).map { MemoryJournal.note("\($0)") })
        try writeAll(output.writer, "no newline")
        output.closeWriter()
        #expect(try pipeline.finish(by: .after(milliseconds: 60000)).isEmpty)
        #expect(collector.seqs == Array(1...1001))
        #expect(collector.bodies.contains("no newline"))
    }

    @Test func `what a sink does not take by the end is reported and stays in the spool`() throws {
        collector.fails("away")
        journal.append([MemoryJournal.note("1")])
        do {
            let pipeline = try pipeline()
            let left = try pipeline.finish(by: .after(milliseconds: 300))
            #expect(left.count == 1 && left[0].contains("not delivered to collector"))
        }
        collector.fails(nil)
        let pipeline = try pipeline()
        try run(pipeline) { collector.bodies.contains("told the model: 1") }
    }

    @Test func `the sources have ended when PID 1 has closed all of the loop's pipes`() throws {
        let output = try TestPipe()
        let live = try TestPipe()
        let pipeline = try pipeline {
            $0.loopStandardOutput = output.reader
            $0.live = live.reader
        }
        try pipeline.round(until: .after(milliseconds: 10))
        #expect(!pipeline.sourcesHaveEnded)
        output.closeWriter()
        try pipeline.round(until: .after(milliseconds: 10))
        #expect(!pipeline.sourcesHaveEnded)
        live.closeWriter()
        try run(pipeline) { pipeline.sourcesHaveEnded }
    }

    @Test func `the gateway beats to PID 1`() throws {
        let status = try TestPipe()
        let pipeline = try pipeline { $0.status = status.writer }
        try pipeline.round(until: .after(milliseconds: 10))
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 1)
        defer { buffer.deallocate() }
        #expect(try readSome(status.reader, into: buffer) == .bytes(5))
        #expect(String(decoding: buffer[..<5], as: UTF8.self) == "beat\n")
    }

    @Test func `a live line is a sign of life, rubbish and overlong lines are none`() throws {
        let live = try TestPipe()
        let pipeline = try pipeline { $0.live = live.reader }
        try writeAll(live.writer, "rubbish\n{\"x\":\"" + String(repeating: "x", count: 30000) + "\n")
        try pipeline.round(until: .after(milliseconds: 10))
        #expect(health.unreadyReason != nil)
        try writeAll(live.writer, "{\"beat\":1}\n")
        try pipeline.round(until: .after(milliseconds: 10))
        #expect(health.unreadyReason == nil)
    }
}

extension [UInt8] {
    func isContained(in other: [UInt8]) -> Bool {
        other.indices.dropLast(count - 1).contains { other[$0..<$0 + count].elementsEqual(self) }
    }
}
