import Glibc
import LinuxSystem

/// What the kubelet shows as the container's last message: one JSON object of at most 4096 bytes.
package struct TerminationMessage: Equatable, Sendable {
    /// The kubelet cuts at this size, in the middle of whatever is there (pkg/kubelet/container, MaxContainer…Length).
    package static let limit = 4096

    package var outcome: String
    /// nil as long as the run has not ended.
    package var exitCode: Int32?
    package var reason: String
    package var phase: String
    package var step: Int
    package var seq: Int64
    package var restarts: Int

    package init(
        outcome: String, exitCode: Int32?, reason: String, phase: String, step: Int, seq: Int64, restarts: Int
    ) {
        self.outcome = outcome
        self.exitCode = exitCode
        self.reason = reason
        self.phase = phase
        self.step = step
        self.seq = seq
        self.restarts = restarts
    }

    /// The object and a newline. Texts are cut between characters, each to its share of the limit.
    package var json: String {
        "{\"outcome\":\(Self.quoted(outcome, limit: 200)),\"exit_code\":\(exitCode.map(String.init) ?? "null"),"
            + "\"reason\":\(Self.quoted(reason, limit: 3300)),\"phase\":\(Self.quoted(phase, limit: 200)),"
            + "\"step\":\(step),\"seq\":\(seq),\"restarts\":\(restarts)}\n"
    }

    /// A JSON string of at most `limit` bytes, its quotes included.
    private static func quoted(_ text: String, limit: Int) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            let piece =
                switch scalar {
                case "\"": "\\\""
                case "\\": "\\\\"
                case "\n": "\\n"
                case "\t": "\\t"
                case _ where scalar.value < 0x20 || scalar.value == 0x7f: Self.hexEscape(scalar.value)
                default: String(scalar)
                }
            guard result.utf8.count + piece.utf8.count < limit else { break }
            result += piece
        }
        return result + "\""
    }

    private static func hexEscape(_ value: UInt32) -> String {
        let digits = String(value, radix: 16)
        return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    }
}

/// The file the kubelet reads the message from.
package struct TerminationLog {
    package let path: String
    /// Whether the path was set: then it must be writable.
    package let isExplicit: Bool

    /// From the value of AGENT_TERMINATION_LOG; nil and empty are unset.
    package init(setting: String?) {
        isExplicit = setting?.isEmpty == false
        path = isExplicit ? setting ?? "" : "/dev/termination-log"
    }

    /// Replaces the message. A failure is logged and changes nothing else.
    ///
    /// In a pod the path is a file mounted on its own: nothing can be renamed over it. So it is written first and cut
    /// to length afterwards, and a death in between leaves an old message's tail, never an empty file.
    func write(_ message: TerminationMessage) {
        do throws(SystemError) {
            let create = isExplicit ? O_CREAT : 0
            // O_NONBLOCK: a FIFO without a reader is an error, not a wait.
            let file = Descriptor(
                adopting: try retrying("open", subject: path) {
                    open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | create, 0o644)
                })
            let bytes = Array(message.json.utf8)
            let written = try retrying("write", subject: path) {
                Int32(clamping: bytes.withUnsafeBytes { Glibc.write(file.number, $0.baseAddress, $0.count) })
            }
            var status = stat()
            if fstat(file.number, &status) == 0, status.st_mode & S_IFMT == S_IFREG {
                try retrying("ftruncate", subject: path) { ftruncate(file.number, off_t(written)) }
            }
            if written < bytes.count { throw SystemError("write", code: ENOSPC, subject: path) }
        } catch {
            // Outside a pod there is no such file.
            if !isExplicit, error.call == "open", error.code == ENOENT { return }
            logLine("the termination message cannot be written: \(error)")
        }
    }
}
