import Contracts
import Glibc
import LinuxSystem

/// A command that has been started through `agent-jail`: its janitor and our ends of the pipes to it.
///
/// When this value goes, the control pipe closes, and the janitor kills everything.
struct JailProcess: ~Copyable {
    /// The janitor.
    let pid: Int32
    private let outputPipe: Pipe
    private let reportPipe: Pipe
    private let controlPipe: Pipe

    /// Standard output and error of the command, together, and the janitor's report. To be read without blocking.
    var output: Int32 { outputPipe.reader.number }
    var reports: Int32 { reportPipe.reader.number }

    /// A pipe of 1 MiB: a command that prints much is woken less often. The kernel may give less; that is as good.
    private static let pipeSize: Int32 = 1 << 20
    /// F_SETPIPE_SZ of linux/fcntl.h, which Glibc's module does not have.
    private static let setPipeSize: Int32 = 1031

    /// - Throws: `SystemError` if nothing could be started.
    init(program: String, _ request: JailRequest) throws(SystemError) {
        let null = Descriptor(
            adopting: try retrying("open", subject: "/dev/null") { open("/dev/null", O_RDONLY | O_CLOEXEC) })
        var output = try Pipe()
        var reports = try Pipe()
        var control = try Pipe()
        _ = fcntl(output.reader.number, Self.setPipeSize, Self.pipeSize)
        try setNonBlocking(output.reader.number, true)
        try setNonBlocking(reports.reader.number, true)
        pid = try Spawn(
            path: program, arguments: ["agent-jail"] + request.arguments, environment: [],
            descriptors: [
                (null.number, 0), (output.writer.number, 1), (output.writer.number, 2), (reports.writer.number, 3),
                (control.reader.number, 4),
            ]
        ).start()
        // Our copies of the child's ends must go, or no end of file would ever come.
        output.writer = Descriptor(adopting: -1)
        reports.writer = Descriptor(adopting: -1)
        control.reader = Descriptor(adopting: -1)
        outputPipe = output
        reportPipe = reports
        controlPipe = control
    }

    /// Tells the janitor to kill everything at once.
    borrowing func kill() { _ = try? writeAll(controlPipe.writer.number, "kill\n") }

    /// Reaps the janitor, which has ended or is about to, and makes of its report, or of its death, how the command
    /// ended. To be called once; takes 5 s at most.
    borrowing func settle(report: JailReport?) -> JailReport {
        let patience = Deadline.after(milliseconds: 5000)
        var reaped = reap(pid)
        while reaped == nil, !patience.hasPassed {
            _ = poll(nil, 0, 5)
            reaped = reap(pid)
        }
        if reaped == nil {
            _ = Glibc.kill(pid, SIGKILL)
            reaped = reap(pid)
        }
        if let report { return report }
        let death = reaped.map { "\($0.end)" } ?? "it did not end"
        return JailReport(end: .failed(stage: "janitor", errno: 0, message: "agent-jail gave no report (\(death))"))
    }
}
