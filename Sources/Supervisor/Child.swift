import CLinux
import Contracts
import Glibc
import LinuxSystem

/// One of our two processes: what PID 1 knows of it over all its restarts.
final class Child {
    let name: String
    /// The pipe it reports through. Both ends stay open here, so that it outlives the process.
    let status: Pipe
    /// Its process, nil while it does not run: there is no number here that could reach kill(2) by mistake.
    private(set) var pid: Int32?
    /// When it is to be started (monotonic milliseconds), nil if it runs or is not to run again.
    private(set) var startAt: Int64?
    /// What it last said about its own end.
    private(set) var farewell: StatusLine?
    /// Starts beyond the first.
    private(set) var restarts = 0
    private(set) var budget = RestartBudget.standard
    private var heartbeat = Heartbeat(at: 0)
    private var lines = LineBuffer(limit: StatusLine.limit)
    private var cause = ""
    private(set) var lastLine = ""
    private var toldReason = ""
    private var causeCount = 0
    /// Since when it has been known to hang.
    private var hungSince: Int64?
    /// Whether we have sent it SIGKILL.
    private(set) var wasKilled = false
    /// Whether the process has said anything: it is past its start.
    private(set) var isUp = false
    /// Whether it has been told to end.
    private(set) var isAskedToEnd = false

    /// - Throws: `SystemError` of pipe2(2) or fcntl(2).
    init(name: String) throws(SystemError) {
        self.name = name
        status = try Pipe()
        try setNonBlocking(status.reader.number, true)
        startAt = 0
    }

    func started(_ pid: Int32, at now: Int64) {
        self.pid = pid
        startAt = nil
        farewell = nil
        hungSince = nil
        wasKilled = false
        isUp = false
        isAskedToEnd = false
        lastLine = ""
        heartbeat = Heartbeat(at: now)
    }

    /// Sends a signal, if it runs.
    func send(_ number: Int32) {
        guard let pid, pid > 1 else { return }
        if number == SIGKILL { wasKilled = true }
        if number == SIGTERM { isAskedToEnd = true }
        _ = kill(pid, number)
    }

    /// Ends it if nothing was heard of it for `limit` milliseconds: SIGQUIT, at which it writes its stack to stderr
    /// (CCrash), and SIGKILL a second later.
    ///
    /// - Returns: what to say of it, when it is found to hang.
    func endIfHung(at now: Int64, limit: Int64) -> String? {
        guard pid != nil, !wasKilled else { return nil }
        guard heartbeat.isLate(at: now, limit: limit) else {
            hungSince = nil
            return nil
        }
        if let hungSince {
            if now - hungSince >= 1000 { send(SIGKILL) }
            return nil
        }
        hungSince = now
        send(SIGQUIT)
        return "the \(name) hangs: nothing heard of it for \(limit / 1000) s"
    }

    /// Leaves out of account the time in which we ourselves were stopped.
    func forgive(_ milliseconds: Int64) { heartbeat.forgive(milliseconds) }

    /// The lines in its status pipe; reads at most 64 KiB.
    func takeStatus(at now: Int64) -> [StatusLine] {
        var result: [StatusLine] = []
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { buffer in
            for _ in 0..<16 {
                guard case .bytes(let count)? = try? readSome(status.reader.number, into: buffer) else { return }
                for line in lines.take(buffer[..<count]) {
                    guard let status = StatusLine(line: line) else { continue }
                    heartbeat = Heartbeat(at: now)
                    isUp = true
                    if case .end = status { farewell = status }
                    result.append(status)
                }
            }
        }
        return result
    }

    /// Records the end of its process. Its last status lines must have been taken.
    ///
    /// - Parameters:
    ///   - end: how it ended.
    ///   - evidence: what else is known of the cause.
    ///   - lastLine: the last that it has written.
    /// - Returns: how it ended, in words, `evidence` included.
    @discardableResult
    func died(_ end: ProcessEnd, evidence: String? = nil, lastLine: String = "") -> String {
        pid = nil
        self.lastLine = lastLine
        // Half a line of the dead process would spoil the first one of the next.
        lines.discardPartial()
        var cause = hungSince != nil ? "hung and \(describe(end))" : describe(end)
        if let evidence { cause += " \(evidence)" }
        if end == .exited(0) { cause += " without saying that it is done" }
        record(cause)
        return cause
    }

    /// Records that it could not be started.
    func couldNotStart(_ error: SystemError) {
        startAt = nil
        record("could not be started (\(error))")
    }

    private func record(_ cause: String) {
        causeCount = cause == self.cause ? causeCount + 1 : 1
        self.cause = cause
    }

    /// Plans the next start.
    ///
    /// - Returns: milliseconds until then, or nil if the restart budget is spent.
    func planRestart(at now: Int64) -> Int64? {
        guard let delay = budget.take(at: now) else { return nil }
        restarts += 1
        startAt = now + delay
        return delay
    }

    /// Takes a planned start back, or makes it due now.
    func cancelStart() { startAt = nil }
    func hastenStart() { if startAt != nil { startAt = 0 } }

    /// Why it last ended and how often in a row for the same cause, for the one who has to find out.
    var lastEnds: String { lastCause + lastReason }

    /// The same for a line that may be the next of many: a reason that was told with the line before is not told again.
    func lastEndsBriefly() -> String {
        defer { toldReason = lastReason }
        return lastReason == toldReason ? lastCause : lastEnds
    }

    private var lastCause: String {
        causeCount > 1 ? "the \(name) \(cause) \(causeCount) times" : "the \(name) \(cause)"
    }

    private var lastReason: String {
        if case .end(_, _, let reason, _) = farewell, !reason.isEmpty { return ": \(reason)" }
        // Of one that was up the log has the last words; of one that was not, nobody has.
        return isUp || lastLine.isEmpty ? "" : "; the last it wrote: \(lastLine)"
    }
}

/// When a child was last heard of.
package struct Heartbeat: Equatable, Sendable {
    private var last: Int64

    package init(at now: Int64) { last = now }

    package func isLate(at now: Int64, limit: Int64) -> Bool { now - last > limit }

    package mutating func forgive(_ milliseconds: Int64) { last += milliseconds }
}
