/// What the loop and the gateway tell PID 1 over their status pipe, a line each.
package enum StatusLine: Equatable, Sendable {
    /// The process makes progress. Sent at least every 5 seconds, from the thread that does the work.
    case beat
    /// Where the job is. PID 1 writes it ahead to the termination log.
    case progress(Progress)
    /// The folder in which PID 1 is to keep last-gasp records. At most 4000 bytes, or the line is too long to be taken.
    case records(folder: String)
    /// The folder whose files are secrets, told before any of them is read: PID 1 takes them out of all that it lets out.
    /// At most 4000 bytes.
    case secrets(folder: String)
    /// The process is about to exit with this code, for this reason.
    case end(outcome: String, exit: Int32, reason: String, progress: Progress)

    /// The place of a job in its run.
    package struct Progress: Equatable, Sendable {
        package var phase: String
        /// Answers of the model so far.
        package var step: Int
        /// The last event committed.
        package var seq: Int64
        /// The request or call that is under way, at most 100 bytes; empty if none is.
        package var doing: String

        package init(phase: String, step: Int, seq: Int64, doing: String = "") {
            self.phase = phase
            self.step = step
            self.seq = seq
            self.doing = String(decoding: doing.utf8.prefix(100), as: UTF8.self)
        }
    }

    /// The longest line in bytes, its newline included: what a pipe takes as a whole (PIPE_BUF, pipe(7)).
    package static let limit = 4096
    /// A reason is cut to this many bytes on the wire, so that the line stays below the limit.
    package static let reasonLimit = 3000

    /// The line, without its newline.
    package var line: String {
        var fields = Fields()
        switch self {
        case .beat: fields.append("beat")
        case .progress(let progress): progress.write(to: &fields)
        case .records(let folder): fields.append("records", folder)
        case .secrets(let folder): fields.append("secrets", folder)
        case .end(let outcome, let exit, let reason, let progress):
            fields.append("end")
            fields.append("outcome", outcome)
            fields.append("exit", String(exit))
            fields.append("reason", Self.cut(reason))
            progress.write(to: &fields)
        }
        return fields.line
    }

    private static func cut(_ reason: String) -> String {
        var room = reasonLimit
        let kept = reason.unicodeScalars.prefix { scalar in
            room -= Fields.escaped(String(scalar)).utf8.count
            return room >= 0
        }
        return String(kept)
    }

    /// Parses a line; nil if it is none of these.
    package init?(line: some StringProtocol) {
        let fields = Fields(line: line)
        if fields.has("beat") {
            self = .beat
            return
        }
        if let folder = fields["records"] {
            self = .records(folder: folder)
            return
        }
        if let folder = fields["secrets"] {
            self = .secrets(folder: folder)
            return
        }
        guard let progress = Progress(fields) else { return nil }
        if fields.has("end") {
            guard let outcome = fields["outcome"], let exit = fields["exit"].flatMap({ Int32($0) }) else { return nil }
            self = .end(outcome: outcome, exit: exit, reason: fields["reason"] ?? "", progress: progress)
        } else {
            self = .progress(progress)
        }
    }
}

extension StatusLine.Progress {
    fileprivate init?(_ fields: Fields) {
        guard let phase = fields["phase"], let step = fields["step"].flatMap({ Int($0) }),
            let seq = fields["seq"].flatMap({ Int64($0) })
        else { return nil }
        self.init(phase: phase, step: step, seq: seq, doing: fields["doing"] ?? "")
    }

    fileprivate func write(to fields: inout Fields) {
        fields.append("phase", phase)
        fields.append("step", String(step))
        fields.append("seq", String(seq))
        if !doing.isEmpty { fields.append("doing", doing) }
    }
}
