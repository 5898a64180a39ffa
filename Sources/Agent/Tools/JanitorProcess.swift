import Contracts
import Glibc
import LinuxSystem

/// `agent-jail` at work on one request: the one way by which a command of the model, or of `agent-init exec`, is run.
///
/// When this value goes, its control pipe goes with it, and the janitor then ends whatever is still there.
struct JanitorProcess: ~Copyable {
    private let pid: Int32
    private let janitors: Janitors
    /// Where the report comes, and then the end of file: the janitor has gone, and every process of the command.
    let reports: Descriptor
    /// Takes the order to end the command; so does its own end.
    let control: Descriptor
    /// When a janitor that keeps the request's time limit itself must have ended.
    let limit: Deadline

    /// Starts it with these descriptors as the command's standard ones. With `ownSession` no signal of a terminal
    /// reaches the janitor: they are for the caller to pass on.
    ///
    /// - Throws: `SystemError`: nothing has been started.
    init(
        program: String, _ request: JailRequest, input: Int32, output: Int32, errors: Int32, ownSession: Bool = false,
        among janitors: Janitors
    ) throws(SystemError) {
        // A janitor that is killed leaves its tree to us.
        becomeSubreaper()
        var reports = try Pipe()
        var control = try Pipe()
        let ends = [input, output, errors, reports.writer.number, control.reader.number]
        if !ownSession, let message = JailStandby.message(request), let waiting = janitors.assign(message, ends) {
            pid = waiting
        } else {
            pid = try Self.start(program, request, ends, ownSession: ownSession)
        }
        janitors.insert(pid)
        self.janitors = janitors
        let (allowed, overflow) = request.timeout.addingReportingOverflow(request.grace + 10000)
        limit = overflow ? .never : .after(milliseconds: allowed)
        // Our copies of the child's ends must go, or no end of file would ever come.
        reports.writer = Descriptor(adopting: -1)
        control.reader = Descriptor(adopting: -1)
        self.reports = reports.takeReader()
        self.control = control.takeWriter()
    }

    /// Starts one with the request on its command line.
    private static func start(
        _ program: String, _ request: JailRequest, _ ends: [Int32], ownSession: Bool
    ) throws(SystemError) -> Int32 {
        var request = request
        request.reportDescriptor = 3
        request.controlDescriptor = 4
        var spawn = Spawn(
            path: program, arguments: ["agent-jail"] + request.arguments, environment: [],
            descriptors: ends.enumerated().map { ($0.element, Int32($0.offset)) })
        spawn.newSession = ownSession
        return try spawn.start()
    }

    /// Has everything of the command killed at once.
    func cancel() { _ = try? writeAll(control.number, "kill\n") }

    /// Leaves the janitor, which has reported and is about to end, to be reaped when the next command comes.
    func retire() { janitors.retire(pid) }

    /// Reaps the janitor and makes of its report, or of its death, how the command ended.
    func end(reported: JailReport?) -> JailReport {
        var reaped = reap(pid, until: .after(milliseconds: 5000))
        if reaped == nil {
            _ = kill(pid, SIGKILL)
            reaped = reap(pid)
        }
        janitors.remove(pid)
        if let reported { return reported }
        guard let end = reaped?.end, case .signaled = end else {
            let death = reaped.map { "\($0.end)" } ?? "it did not end"
            return lost("agent-jail gave no report (\(death)): whether the command ran, and how it ended, is not known")
        }
        // Nobody but the kernel's OOM killer or a person can do that. The command's own process died with it.
        let killed = endOrphans(sparing: janitors.living, until: .after(milliseconds: 5000))
        let rest = killed == nil ? "processes of the command may still be there" : "nothing of the command is left"
        var report = lost("agent-jail was killed while it watched over the command (\(end)); \(rest)")
        report.killed = killed ?? 0
        return report
    }

    private borrowing func lost(_ message: String) -> JailReport {
        JailReport(end: .lost(errno: 0, message: message))
    }
}

/// A report as it comes in, in pieces.
struct ReportText {
    private var bytes: [UInt8] = []

    /// A report has at most 34 lines; 64 KiB is far above any, and what comes after is not kept.
    mutating func take(_ chunk: UnsafeRawBufferPointer) {
        if bytes.count < 65536 { bytes += chunk }
    }

    /// The report, once it has come; nil if it names no end.
    var report: JailReport? {
        JailReport(text: String(decoding: bytes, as: UTF8.self))
    }
}
