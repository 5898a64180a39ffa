package import Contracts
import Glibc
package import LinuxSystem
package import SecretRedaction

/// What is known of a child that died: how, where the job was, what it used, and the last it wrote.
package struct LastGasp {
    package var child: String
    package var pid: Int32
    /// Milliseconds since 1970.
    package var time: Int64
    /// How it ended, in words.
    package var cause: String
    package var end: ProcessEnd
    /// Whether memory ran out, if that could be the reason.
    package var memory: MemoryEvidence.Finding?
    package var usage: Usage
    package var progress: StatusLine.Progress
    package var restarts: Int
    package var tail: Tail

    package init(
        child: String, pid: Int32, time: Int64, cause: String, end: ProcessEnd,
        memory: MemoryEvidence.Finding?, usage: Usage, progress: StatusLine.Progress, restarts: Int, tail: Tail
    ) {
        self.child = child
        self.pid = pid
        self.time = time
        self.cause = cause
        self.end = end
        self.memory = memory
        self.usage = usage
        self.progress = progress
        self.restarts = restarts
        self.tail = tail
    }

    /// One line of fields (`Fields`), then the bytes of the output (docs/ARCHITECTURE.md, "Last-gasp records"): from the
    /// beginning of a line on, and all of it without secrets.
    package func bytes(without secrets: KnownSecrets) -> [UInt8] {
        var fields = Fields()
        fields.append("child", child)
        fields.append("pid", String(pid))
        fields.append("time", String(time))
        fields.append("cause", cause)
        switch end {
        case .exited(let code): fields.append("exit", String(code))
        case .signaled(let number): fields.append("signal", signalName(number))
        }
        if let memory { fields.append("memory", memory.word) }
        fields.append("user_ms", String(usage.user))
        fields.append("system_ms", String(usage.system))
        fields.append("max_rss_kb", String(usage.maximumResident))
        fields.append("phase", secrets.clean(progress.phase))
        fields.append("step", String(progress.step))
        fields.append("seq", String(progress.seq))
        fields.append("doing", secrets.clean(progress.doing))
        fields.append("restarts", String(restarts))
        fields.append("output_bytes", String(tail.total))
        // What stands in the place of a secret may be longer than the secret.
        return Array((fields.line + "\n").utf8) + secrets.clean(Array(tail.lines)).suffix(Tail.limit)
    }
}

/// The folder that keeps last-gasp records until the gateway has shipped them.
///
/// Which one it is the children say, who know the settings. At most 32 records wait there, and 8 here until it is
/// known; a further one is not kept, and our stderr says so.
final class LastGasps {
    private static let waitingLimit = 8
    private static let folderLimit = 32
    private let secrets: KnownSecrets
    private var folder: String?
    private var waiting: [LastGasp] = []

    /// - Parameter secrets: what is taken out of the records.
    init(without secrets: KnownSecrets) { self.secrets = secrets }

    func use(_ folder: String) {
        self.folder = folder
        let due = waiting
        waiting = []
        for gasp in due { keep(gasp) }
    }

    /// Writes the record, on the disk when this returns. A failure is logged and changes nothing else.
    func keep(_ gasp: LastGasp) {
        guard let folder else {
            guard waiting.count < Self.waitingLimit else { return complain(gasp, "its folder is not known") }
            waiting.append(gasp)
            return
        }
        do throws(SystemError) {
            guard try namesInFolder(folder).count < Self.folderLimit else {
                return complain(gasp, "\(Self.folderLimit) wait in \(folder) already")
            }
            let path = "\(folder)/\(gasp.time)-\(gasp.child)-\(gasp.pid)"
            try write(gasp.bytes(without: secrets), to: path + ".part")
            try retrying("rename", subject: path) { rename(path + ".part", path + ".gasp") }
            let names = Descriptor(
                adopting: try retrying("open", subject: folder) { open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) })
            try retrying("fsync", subject: folder) { fsync(names.number) }
        } catch {
            complain(gasp, error.description)
        }
    }

    private func write(_ bytes: [UInt8], to path: String) throws(SystemError) {
        let file = Descriptor(
            adopting: try retrying("open", subject: path) {
                open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
            })
        try writeAll(file.number, bytes)
        try retrying("fsync", subject: path) { fsync(file.number) }
    }

    private func complain(_ gasp: LastGasp, _ reason: String) {
        logLine(secrets.clean("the last-gasp record of the \(gasp.child) is not kept: \(reason)"))
    }
}
