import Contracts
import Glibc
import LinuxSystem

/// The wait for one command: takes its output and its report until both have ended.
struct Watch: ~Copyable {
    private var output: Int32
    private var reports: Int32
    private var reportText: [UInt8] = []
    private(set) var interruption: Interruption?
    /// When we stop waiting for the pipe, after the janitor has gone or has been told to kill.
    private var last = Deadline.never

    init(_ process: borrowing JailProcess) {
        output = process.output
        reports = process.reports
    }

    /// The janitor's report, once it has come whole.
    var report: JailReport? {
        guard reportText.last == UInt8(ascii: "\n") else { return nil }
        return JailReport(text: String(decoding: reportText, as: UTF8.self))
    }

    mutating func run(
        _ process: borrowing JailProcess, into capture: inout OutputCapture, attention: any Attention,
        until deadline: Deadline
    ) {
        // Page-aligned and small enough to stay in the processor's cache from the copy to the count.
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 4096)
        defer { buffer.deallocate() }
        while output >= 0 || reports >= 0 {
            if last.hasPassed { return }
            if deadline.hasPassed { cancel(process) }
            let wake = Deadline.after(milliseconds: 1000).sooner(last).sooner(deadline)
            guard let ready = try? waitReadable([output, reports] + attention.descriptors, until: wake) else { return }
            if ready.contains(0) {
                // Several at a time, since a look at everything else costs as much as a read; not without end.
                for _ in 0..<16 {
                    guard let count = Self.take(&output, buffer), count > 0 else { break }
                    capture.take(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                }
            }
            if ready.contains(1), let count = Self.take(&reports, buffer) {
                // A report has at most 34 lines; 64 KiB is far above any.
                if count > 0, reportText.count < 65536 { reportText += buffer[..<count] }
                // Every process of the command has gone, and nobody holds the output open: a moment to drain. The
                // janitor says so before it goes itself, which takes a tenth of a short command's time.
                if count == 0 || report != nil {
                    reports = -1
                    last = last.sooner(.after(milliseconds: 2000))
                }
            }
            if let reason = attention.attend(), interruption == nil {
                interruption = reason
                cancel(process)
            }
        }
    }

    /// Tells the janitor to kill everything, once, and bounds the rest of the wait.
    private mutating func cancel(_ process: borrowing JailProcess) {
        guard last == .never else { return }
        process.kill()
        last = .after(milliseconds: 5000)
    }

    /// One read. Sets the descriptor to -1 at its end, where it returns 0; nil if nothing was there.
    static func take(_ descriptor: inout Int32, _ buffer: UnsafeMutableRawBufferPointer) -> Int? {
        switch try? readSome(descriptor, into: buffer) {
        case .bytes(let count): return count
        case .wouldBlock: return nil
        case .end, nil:
            descriptor = -1
            return 0
        }
    }
}
