package import Events
import LinuxSystem

/// Whether a process holds the job, and if none does, how the last one went: what `status` says beside the journal, which
/// cannot know that its writer is gone.
package enum Tenure: Equatable, Sendable {
    /// It runs now.
    case runs(Holder.Record)
    /// It said how it ended.
    case ended(Holder.Record)
    /// It is gone without a word: killed, or its machine is.
    case killed(Holder.Record)
    /// Nothing is known: of a version before this, or from another machine.
    case unknown

    /// As it is for the job of this checkpoint.
    package init(of database: String) {
        guard let record = Holder.last(of: database) else {
            self = .unknown
            return
        }
        self = Holder.lives(of: database) ? .runs(record) : record.outcome == nil ? .killed(record) : .ended(record)
    }

    private var record: Holder.Record? {
        switch self {
        case .runs(let record), .ended(let record), .killed(let record): record
        case .unknown: nil
        }
    }

    package var json: JSON {
        let word =
            switch self {
            case .runs: "running"
            case .ended: "ended"
            case .killed: "killed"
            case .unknown: "unknown"
            }
        guard let record else { return ["state": .string(word)] }
        return [
            "state": .string(word), "pid": .int(Int64(record.pid)), "host": .string(record.host),
            "since": .string(timestamp(record.since)), "epoch": .int(record.epoch),
            "outcome": record.outcome.map { .string($0) } ?? .null,
            "exit_code": record.code.map { .int(Int64($0)) } ?? .null,
        ]
    }

    /// A line for a terminal.
    package var text: String {
        guard let record else { return "not known: no process has said that it holds the job" }
        let process = "process \(record.pid) on \(shownLine(record.host, limit: 100)), epoch \(record.epoch)"
        switch self {
        case .runs: return "runs since \(timestamp(record.since)): \(process)"
        case .ended:
            let outcome = shownLine(record.outcome ?? "", limit: 100)
            return "ended with \(record.code ?? 0) (\(outcome)): \(process)"
        default:
            return "was killed, or its machine went down: \(process), since \(timestamp(record.since)). "
                + "Start the job again and it goes on"
        }
    }
}
