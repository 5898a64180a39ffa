import Contracts
import Events
import LinuxSystem
import SecretRedaction

/// One pipe of the loop, read as it comes and cut into lines.
struct PipeSource: ~Copyable {
    /// -1 once the pipe has ended, or if there is none.
    private(set) var descriptor: Int32
    private let stream: LogRecord.Stream
    private var assembler: LineAssembler

    /// Read in one round at most, so that no source starves the others.
    private static let share = 256 << 10

    init(_ descriptor: Int32?, stream: LogRecord.Stream, redactor: Redactor) throws(SystemError) {
        self.descriptor = descriptor ?? -1
        self.stream = stream
        assembler = LineAssembler(redactor: redactor)
        if let descriptor { try setNonBlocking(descriptor, true) }
    }

    /// From now on lines are cut so that none of these secrets is cut in two.
    mutating func cutAround(_ redactor: Redactor) { assembler.redactor = redactor }

    var hasEnded: Bool { descriptor < 0 }
    /// When `read` is to be called though nothing has come.
    var flushAt: Int64? { assembler.flushAt }

    /// Reads what is there.
    ///
    /// - Returns: the records of the lines that are complete, or have waited long enough.
    mutating func read(into buffer: UnsafeMutableRawBufferPointer) -> [SpoolEntry] {
        var lines: [LineAssembler.Line] = []
        var count = 0
        while descriptor >= 0, count < Self.share {
            // An error of a pipe is as good as its end.
            let outcome = (try? readSome(descriptor, into: buffer)) ?? .end
            if case .wouldBlock = outcome { break }
            guard case .bytes(let read) = outcome else {
                descriptor = -1
                if let line = assembler.finish() { lines.append(line) }
                break
            }
            count += read
            lines += assembler.take(buffer[..<read], now: Clock.monotonic)
        }
        if let line = assembler.flush(now: Clock.monotonic) { lines.append(line) }
        let time = Clock.wall
        return lines.map { line in
            var attributes: [String: JSON] = [:]
            if line.isLossy { attributes["lossy"] = true }
            if let part = line.part { attributes["part"] = .int(Int64(part)) }
            if stream == .stderr, EndLine.isOne(line.text) { attributes["event.name"] = "process_end" }
            return SpoolEntry(
                LogRecord(
                    time: time, severity: stream == .stderr ? .warn : .info, stream: stream, body: line.text,
                    attributes: attributes))
        }
    }
}
