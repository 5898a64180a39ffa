package import Events
import Glibc
import LinuxSystem

/// The log as JSON lines in a file, for a sidecar.
///
/// Taken means in the file, not on the disk: the spool is what survives a power failure. A line is in the file once,
/// also after a crash: the last one's `seq` is looked up when the file is opened, and half a line is cut off. A file
/// that was renamed or removed (log rotation) is opened anew before the next batch. Mode 0600.
package final class LogFileSink: EventSink {
    package let name = "file"
    private let path: String
    private let job: String
    private var file: Descriptor?
    private var last: Int64 = 0

    /// How far from the end the last line is looked for; a record is smaller (RecordBounds).
    private static let tail = 1 << 20

    /// Opens the file or makes it; its folder must exist.
    ///
    /// - Throws: `SinkError` with the setting's name.
    package init(path: String, job: String) throws(SinkError) {
        self.path = path
        self.job = job
        do throws(SystemError) {
            try open()
        } catch {
            throw SinkError("AGENT_LOG_FILE \(path) cannot be opened (\(error)); its folder must exist and be writable")
        }
    }

    package func lastTaken() -> Holding? { Holding(seq: last) }

    package func deliver(_ batch: [Delivery]) throws(SinkError) -> Int64 {
        var text: [UInt8] = []
        for delivery in batch where delivery.seq > last { text += Array((delivery.record + "\n").utf8) }
        do throws(SystemError) {
            if hasMoved { try open() }
            if let number = file?.number, !text.isEmpty { try append(text, to: number) }
        } catch {
            throw SinkError("\(error)")
        }
        last = max(last, batch.last?.seq ?? 0)
        return last
    }

    /// All of it or nothing: a full disk leaves no half line behind.
    private func append(_ text: [UInt8], to file: Int32) throws(SystemError) {
        let end = lseek(file, 0, SEEK_END)
        do throws(SystemError) {
            try writeAll(file, text)
        } catch {
            _ = ftruncate(file, end)
            throw error
        }
    }

    private var hasMoved: Bool {
        guard let number = file?.number else { return true }
        var (ours, theirs) = (stat(), stat())
        return fstat(number, &ours) != 0 || stat(path, &theirs) != 0 || ours.st_ino != theirs.st_ino
            || ours.st_dev != theirs.st_dev
    }

    private func open() throws(SystemError) {
        let opened = Descriptor(
            adopting: try retrying("open", subject: path) {
                Glibc.open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
            })
        try findEnd(opened.number)
        file = consume opened
    }

    /// Cuts half a line off and finds the number of the last whole one.
    private func findEnd(_ file: Int32) throws(SystemError) {
        let size = Int(try seek(file))
        let start = max(0, size - Self.tail)
        var bytes = [UInt8](repeating: 0, count: size - start)
        var count = 0
        while count < bytes.count {
            let read = bytes[count...].withUnsafeMutableBytes { pread(file, $0.baseAddress, $0.count, start + count) }
            if read < 0, errno == EINTR { continue }
            guard read > 0 else { break }
            count += read
        }
        guard let end = bytes.lastIndex(of: UInt8(ascii: "\n")) else {
            if start == 0, size > 0 { try retrying("ftruncate", subject: path) { ftruncate(file, 0) } }
            return
        }
        if end < bytes.count - 1 { try retrying("ftruncate", subject: path) { ftruncate(file, start + end + 1) } }
        let begin = bytes[..<end].lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        let line = try? JSON(parsing: bytes[begin..<end])
        // Another job's numbers say nothing about ours.
        if line?["job_id"]?.string == job, let seq = line?["seq"]?.int { last = max(last, Int64(seq)) }
    }

    private func seek(_ file: Int32) throws(SystemError) -> Int64 {
        let end = lseek(file, 0, SEEK_END)
        if end < 0 { throw SystemError.last("lseek", subject: path) }
        return Int64(end)
    }
}
