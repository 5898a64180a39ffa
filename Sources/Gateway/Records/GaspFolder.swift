import Contracts
import Events
import Glibc
import LinuxSystem
import SQLite

/// The folder in which PID 1 leaves a last-gasp record for each process of ours that died (docs/ARCHITECTURE.md,
/// "Last-gasp records").
///
/// A file goes once its record is in the spool; a kill in between is known by the name that the spool keeps.
struct GaspFolder {
    private let path: String
    private var lookAt: Int64 = 0

    private static let interval: Int64 = 500
    /// The head line and 64 KiB of output.
    private static let sizeLimit = 80 << 10
    private static let suffix = ".gasp"

    init(_ path: String) { self.path = path }

    /// When `take` is to be called again.
    var dueAt: Int64 { lookAt }

    /// The records that are neither in the spool nor on their way there, oldest first; deletes the files of those that
    /// are in it.
    ///
    /// - Throws: `SystemError` if the folder or a file cannot be read or deleted, `SQLiteError`: the rest is for later.
    mutating func take(_ spool: Spool, onTheirWay: Set<String>) throws -> [SpoolEntry] {
        lookAt = Clock.monotonic + Self.interval
        var entries: [SpoolEntry] = []
        for name in try namesInFolder(path) where name.hasSuffix(Self.suffix) && !onTheirWay.contains(name) {
            if spool.holds(gasp: name) {
                try delete(name)
                try spool.forget(gasp: name)
            } else {
                entries.append(Self.entry(try readFile(path + "/" + name, limit: Self.sizeLimit), name: name))
            }
        }
        return entries
    }

    /// For good: a file that came back after a power cut would be shipped again.
    private func delete(_ name: String) throws(SystemError) {
        try retrying("unlink", subject: path + "/" + name) { unlink(path + "/" + name) }
        let folder = Descriptor(
            adopting: try retrying("open", subject: path) { open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) })
        try retrying("fsync", subject: path) { fsync(folder.number) }
    }

    /// At the next look all is looked at again.
    mutating func hasten() { lookAt = 0 }

    static func entry(_ bytes: [UInt8], name: String) -> SpoolEntry {
        let end = bytes.firstIndex(of: UInt8(ascii: "\n")) ?? bytes.endIndex
        let fields = Fields(line: String(decoding: bytes[..<end], as: UTF8.self))
        let output = bytes[end...].dropFirst()
        let child = fields["child"] ?? "a process"
        var attributes: [String: JSON] = ["event.name": "last_gasp", "process.name": .string(child)]
        for (key, name) in [
            ("pid", "process.pid"), ("exit", "process.exit_code"), ("user_ms", "process.user_ms"),
            ("system_ms", "process.system_ms"), ("max_rss_kb", "process.max_rss_kb"), ("step", "agent.step"),
            ("seq", "journal.seq"), ("restarts", "process.restarts"), ("output_bytes", "process.output_bytes"),
        ] {
            if let number = fields[key].flatMap({ Int64($0) }) { attributes[name] = .int(number) }
        }
        for (key, name) in [
            ("signal", "process.signal"), ("memory", "process.memory"), ("phase", "agent.phase"),
            ("doing", "agent.doing"),
        ] {
            if let text = fields[key], !text.isEmpty { attributes[name] = .string(text) }
        }
        var body = "the \(child) \(fields["cause"] ?? "ended")"
        if !output.isEmpty { body += "; the last it wrote:\n" + String(decoding: output, as: UTF8.self) }
        let time = fields["time"].flatMap { Int64($0) } ?? Clock.wall
        return SpoolEntry(
            LogRecord(time: time, severity: .error, stream: .lastGasp, body: body, attributes: attributes), gasp: name)
    }
}
