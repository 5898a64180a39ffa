import Contracts
import Glibc
package import LinuxSystem

/// Who holds a job, and how far it has got: a file beside the checkpoint, `job_<id>.holder`, that the loop has locked for
/// as long as it lives (flock(2); the kernel gives the lock back when it dies).
///
/// One line of fields. It is written anew after each commit, in one pwrite and without a sync: so it is never ahead of the
/// journal's file, whatever is killed, and at most behind it when a machine loses its power.
package final class Holder {
    package struct Record: Equatable, Sendable {
        package var pid: Int32
        package var host: String
        /// When the process took the job, in milliseconds since 1970.
        package var since: Int64
        package var epoch: Int64
        /// The last event that it has committed.
        package var seq: Int64
        /// How it ended and with which code; nil as long as it has not said so.
        package var outcome: String?
        package var code: Int32?

        package init(
            pid: Int32, host: String, since: Int64, epoch: Int64, seq: Int64, outcome: String? = nil, code: Int32? = nil
        ) {
            self.pid = pid
            self.host = host
            self.since = since
            self.epoch = epoch
            self.seq = seq
            self.outcome = outcome
            self.code = code
        }
    }

    private static let size = 512
    private let file: Descriptor
    private var record: Record

    /// The file of a checkpoint.
    package static func path(of database: String) -> String {
        (database.hasSuffix(".db") ? String(database.dropLast(3)) : database) + ".holder"
    }

    /// Makes the file anew, in the place of the one before, and locks it.
    ///
    /// - Throws: `SystemError`.
    package init(of database: String, host: String) throws(SystemError) {
        let path = Self.path(of: database)
        let new = "\(path).\(getpid())"
        _ = unlink(new)
        file = Descriptor(
            adopting: try retrying("open", subject: new) {
                open(new, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
            })
        record = Record(pid: getpid(), host: host, since: Clock.wall, epoch: 0, seq: 0)
        try retrying("flock", subject: new) { flock(file.number, LOCK_EX | LOCK_NB) }
        do throws(SystemError) {
            try write()
            try retrying("rename", subject: path) { rename(new, path) }
        } catch {
            _ = unlink(new)
            throw error
        }
    }

    /// Notes how far the journal is.
    package func has(epoch: Int64, seq: Int64) {
        (record.epoch, record.seq) = (epoch, seq)
        // Evidence, and not state: a disk that fails is found by the checkpoint itself.
        try? write()
    }

    /// Notes how the process ends.
    package func ends(_ end: LoopEnd) {
        (record.outcome, record.code) = (end.outcome, end.exit.rawValue)
        try? write()
    }

    private func write() throws(SystemError) {
        var fields = Fields()
        fields.append("pid", String(record.pid))
        fields.append("since", String(record.since))
        fields.append("epoch", String(record.epoch))
        fields.append("seq", String(record.seq))
        if let outcome = record.outcome { fields.append("outcome", outcome) }
        if let code = record.code { fields.append("code", String(code)) }
        fields.append("host", record.host)
        // Always the same length: nothing of a longer line before is left, and no block is asked of a full disk.
        let line = Array(fields.line.utf8.prefix(Self.size - 1))
        let bytes = line + [UInt8](repeating: UInt8(ascii: "\n"), count: Self.size - line.count)
        try retrying("pwrite") {
            Int32(clamping: bytes.withUnsafeBytes { pwrite(file.number, $0.baseAddress, $0.count, 0) })
        }
    }

    /// What the last holder has noted; nil if there is none, or it cannot be read.
    package static func last(of database: String) -> Record? {
        guard let bytes = try? readFile(path(of: database), limit: size) else { return nil }
        let fields = Fields(line: String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
        guard let pid = fields["pid"].flatMap({ Int32($0) }), let since = fields["since"].flatMap({ Int64($0) }),
            let epoch = fields["epoch"].flatMap({ Int64($0) }), let seq = fields["seq"].flatMap({ Int64($0) })
        else { return nil }
        return Record(
            pid: pid, host: fields["host"] ?? "", since: since, epoch: epoch, seq: seq, outcome: fields["outcome"],
            code: fields["code"].flatMap { Int32($0) })
    }

    /// Whether the last holder still runs, on this machine.
    package static func lives(of database: String) -> Bool {
        let number = open(path(of: database), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard number >= 0 else { return false }
        let file = Descriptor(adopting: number)
        return flock(file.number, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK
    }
}
