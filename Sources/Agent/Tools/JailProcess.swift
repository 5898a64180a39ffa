import Contracts
import Glibc
import LinuxSystem

/// A command that has been started through `agent-jail`: its janitor and our ends of the pipes to it.
///
/// When this value goes, the control pipe closes, and the janitor kills everything.
struct JailProcess: ~Copyable {
    private let janitor: JanitorProcess
    private let outputEnd: Descriptor

    /// Standard output and error of the command, together, and the janitor's report. To be read without blocking.
    var output: Int32 { outputEnd.number }
    var reports: Int32 { janitor.reports.number }

    /// - Throws: `SystemError` if nothing could be started.
    init(program: String, _ request: JailRequest, among janitors: Janitors) throws(SystemError) {
        let null = Descriptor(
            adopting: try retrying("open", subject: "/dev/null") { open("/dev/null", O_RDONLY | O_CLOEXEC) })
        var output = try Pipe()
        output.enlarge()
        try setNonBlocking(output.reader.number, true)
        // Our copy of the child's end goes with `output`, or no end of file would ever come.
        let started = try JanitorProcess(
            program: program, request, input: null.number, output: output.writer.number, errors: output.writer.number,
            among: janitors)
        try setNonBlocking(started.reports.number, true)
        janitor = started
        outputEnd = output.takeReader()
    }

    /// Tells the janitor to kill everything at once.
    borrowing func kill() { janitor.cancel() }

    /// Makes of the janitor's report, or of its death, how the command ended. To be called once; takes 5 s at most, and
    /// no time if there is a report: the janitor, which is about to end, is then reaped later.
    borrowing func settle(report: JailReport?) -> JailReport {
        guard let report else { return janitor.end(reported: nil) }
        janitor.retire()
        return report
    }
}
