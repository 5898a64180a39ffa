import Agent
import AgentFixtures
import Events
import Gateway
import Glibc
import LinuxSystem
import Synchronization
import Testing

/// A source that a test fills, and that keeps what was acknowledged.
private final class CommandBox: Sendable {
    private struct State {
        var waiting: [Incoming]
        var current: String?
        var acknowledged: [String] = []
    }
    private let state: Mutex<State>

    init(_ waiting: [Incoming]) { state = Mutex(State(waiting: waiting)) }

    var acknowledged: [String] { state.withLock { $0.acknowledged } }
    var plan: CommandPlan { CommandPlan { Source(box: self) } }

    private struct Source: CommandSource {
        let box: CommandBox

        func next(wait: Int64) throws(SinkError) -> Incoming? {
            let incoming = box.state.withLock { state -> Incoming? in
                let next = state.waiting.isEmpty ? nil : state.waiting.removeFirst()
                if case .command(let command) = next { state.current = command.id }
                return next
            }
            if incoming == nil { usleep(20000) }
            return incoming
        }

        func holdOn() {}

        func acknowledge() throws(SinkError) {
            box.state.withLock { state in
                if let id = state.current { state.acknowledged.append(id) }
                state.current = nil
            }
        }
    }
}

struct CommandTests {
    let folder: TemporaryFolder
    let journal = MemoryJournal()
    let collector = Collector()
    let pipe: TestPipe

    init() throws {
        folder = try TemporaryFolder()
        pipe = try TestPipe()
    }

    private func pipeline(_ box: CommandBox) throws -> Pipeline {
        var configuration = GatewayConfiguration(job: "j", spoolPath: folder.path + "/spool_j.db")
        configuration.commands = pipe.writer
        return try Pipeline(
            configuration, journal: journal, sinks: [collector.plan()], commands: box.plan, health: Health())
    }

    private func run(_ pipeline: Pipeline, until condition: () throws -> Bool) throws {
        let deadline = Deadline.after(milliseconds: 60000)
        while try !condition() {
            try #require(!deadline.hasPassed, "it never came about")
            try pipeline.round(until: .after(milliseconds: 20))
        }
    }

    /// The commands among what has come; the gateway's word on the journal is no command.
    private func received(_ text: inout [UInt8]) throws -> [String] {
        try lines(&text).filter { !$0.contains("\"journal\"") }
    }

    private func lines(_ text: inout [UInt8]) throws -> [String] {
        try setNonBlocking(pipe.reader, true)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 1)
        defer { buffer.deallocate() }
        while case .bytes(let count) = try readSome(pipe.reader, into: buffer) { text += buffer[..<count] }
        return String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    private func recorded(_ command: Command) -> Event {
        .commandReceived(.init(id: command.id, kind: command.kind, text: command.text))
    }

    @Test func `a command is acknowledged when the loop has recorded it, and then the next one comes`() throws {
        let commands = [
            Command(id: "a", kind: .task, text: "do it"), Command(id: "b", kind: .message, text: "more\nlines"),
        ]
        let box = CommandBox(commands.map { .command($0) })
        let pipeline = try pipeline(box)
        var text: [UInt8] = []
        try run(pipeline) { try received(&text).count == 1 }
        for _ in 0..<5 { try pipeline.round(until: .after(milliseconds: 20)) }
        #expect(box.acknowledged.isEmpty)
        #expect(try received(&text) == [commands[0].line.dropLast().description])
        journal.append([recorded(commands[0])])
        try run(pipeline) { try received(&text).count == 2 }
        #expect(box.acknowledged == ["a"])
        journal.append([recorded(commands[1])])
        try run(pipeline) { box.acknowledged == ["a", "b"] }
        _ = try pipeline.finish(by: .after(milliseconds: 1000))
    }

    @Test func `a command that was recorded before is acknowledged and not given again`() throws {
        let command = Command(id: "a", kind: .cancel, text: "")
        journal.append([recorded(command)])
        let box = CommandBox([.command(command)])
        let pipeline = try pipeline(box)
        try run(pipeline) { box.acknowledged == ["a"] }
        var text: [UInt8] = []
        #expect(try received(&text).isEmpty)
        _ = try pipeline.finish(by: .after(milliseconds: 1000))
    }

    @Test func `what is no command is a record`() throws {
        let box = CommandBox([.refused("message 7 is no command")])
        let pipeline = try pipeline(box)
        try run(pipeline) { collector.bodies == ["message 7 is no command"] }
        _ = try pipeline.finish(by: .after(milliseconds: 1000))
    }

    @Test func `a command larger than the pipe reaches the loop whole`() throws {
        let command = Command(id: "a", kind: .task, text: String(repeating: "long ", count: 40000))
        let box = CommandBox([.command(command)])
        let pipeline = try pipeline(box)
        var text: [UInt8] = []
        try run(pipeline) { try received(&text).first == command.line.dropLast().description }
        _ = try pipeline.finish(by: .after(milliseconds: 1000))
    }
}
