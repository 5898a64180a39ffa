import Agent
import AgentFixtures
import Contracts
import Glibc
import LinuxSystem
import Testing

struct SupervisorPipeTests {
    private let folder: TemporaryFolder
    private let progress = StatusLine.Progress(phase: "TACTICAL", step: 1, seq: 2)

    init() throws {
        folder = try TemporaryFolder()
        try folder.write("key", "a-secret-of-many-bytes-0123456789\n")
    }

    /// The lines that PID 1 is told by `body`.
    private func told(_ body: (SupervisorPipe) -> Void) throws -> [StatusLine] {
        let pipe = try Pipe()
        body(SupervisorPipe(descriptor: pipe.writer.number))
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65536, alignment: 1)
        defer { buffer.deallocate() }
        guard case .bytes(let count) = try readSome(pipe.reader.number, into: buffer) else { return [] }
        return String(decoding: buffer[..<count], as: UTF8.self).split(separator: "\n").compactMap {
            StatusLine(line: $0)
        }
    }

    private func reason(_ text: String) throws -> String? {
        let lines = try told { pipe in
            pipe.tell(secrets: folder.path)
            pipe.tell(LoopEnd(.failed, outcome: "failed", reason: text), at: progress)
        }
        #expect(lines.first == .secrets(folder: folder.path))
        guard case .end(_, _, let reason, _)? = lines.last else { return nil }
        return reason
    }

    @Test func `a secret is cut out of the reason before that is cut to what a line takes`() throws {
        for before in stride(from: StatusLine.reasonLimit - 40, through: StatusLine.reasonLimit, by: 1) {
            let text = String(repeating: "x", count: before) + "a-secret-of-many-bytes-0123456789"
            let reason = try #require(try reason(text))
            #expect(!reason.contains("a-s"), "\(reason.suffix(60))")
        }
        #expect(try reason("the key a-secret-of-many-bytes-0123456789 is wrong") == "the key [redacted] is wrong")
    }

    @Test func `an end has a reason, if only its own word`() throws {
        #expect(try reason("") == "failed")
    }

    @Test func `a secret that came while the process ran is cut out too`() throws {
        let lines = try told { pipe in
            pipe.tell(secrets: folder.path)
            try? folder.write("key", "the-new-secret")
            let end = LoopEnd(.failed, outcome: "failed", reason: "the-new-secret, a-secret-of-many-bytes-0123456789")
            pipe.tell(end, at: progress)
        }
        guard case .end(_, _, let reason, _)? = lines.last else { return #expect(Bool(false), "no end was told") }
        #expect(reason == "[redacted], [redacted]")
    }
}
