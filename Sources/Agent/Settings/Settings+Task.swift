import Contracts
import Events
import LinuxSystem

extension Settings {
    /// The task that a job begins with, if it has not begun. A job keeps the task that it began with.
    ///
    /// - Parameter begun: the task that the journal has; nil if it has none.
    /// - Returns: nil if the job has begun, or its task comes by NATS.
    /// - Throws: `StartError(.configuration)` if there is none and none can come, or if another one than the job's is set.
    package func task(begun: String?) throws(StartError) -> Event.TaskReceived? {
        guard let begun else {
            if task == nil, delivery.natsURL == nil { throw Settings.missingTask }
            return try readTask()
        }
        // A file that is gone, or that a command can have changed, says nothing against the job that it began.
        if case .file(let path)? = task, folders.writable(canonicalPath(path)) != nil { return nil }
        guard let given = try? readTask(), Self.trimmed(given.text) != Self.trimmed(begun) else { return nil }
        throw StartError(
            .configuration,
            "\(given.source) is not the task that job \(job) began with: it begins \"\(Self.beginning(of: given.text))\", the "
                + "job's \"\(Self.beginning(of: begun))\". Start the new task under another JOB_ID, or send it to this job as a "
                + "message; to go on with this job, set \(given.source) back or leave it out")
    }

    private static func trimmed(_ text: String) -> Substring {
        var rest = text[...]
        while rest.last?.isWhitespace == true { rest.removeLast() }
        return rest.drop(while: \.isWhitespace)
    }

    /// Enough of a task to know it by, on one line.
    private static func beginning(of text: String) -> String {
        let line = trimmed(text).split(whereSeparator: \.isWhitespace).joined(separator: " ")
        return line.count <= 60 ? line : line.prefix(60) + "…"
    }
}

extension JournalReader {
    /// The task that the job began with; nil if it has none yet.
    ///
    /// - Throws: `StoreError`.
    package func task() throws(StoreError) -> String? {
        var last: Int64 = 0
        while true {
            let events = try events(after: last, limit: 100)
            for stored in events {
                switch stored.event {
                case .taskReceived(let body): return body.text
                case .commandReceived(let body) where body.kind == .task: return body.text
                default: last = stored.seq
                }
            }
            if events.isEmpty { return nil }
        }
    }
}
