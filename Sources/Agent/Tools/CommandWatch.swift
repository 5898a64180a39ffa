import Contracts
import Glibc
import LinuxSystem

/// The wait for one command: takes its output and its report until both have ended.
struct Watch: ~Copyable {
    private var output: Int32
    private var reports: Int32
    private let control: Int32
    private var reported = ReportText()
    private(set) var interruption: Interruption?
    /// When we stop waiting for the pipe, after the janitor has gone or has been told to kill.
    private var last = Deadline.never

    init(output: Int32, reports: Int32, control: Int32) {
        self.output = output
        self.reports = reports
        self.control = control
    }

    /// The janitor's report, once it has come.
    var report: JailReport? { reported.report }

    mutating func run(into capture: inout OutputCapture, attention: any Attention, until deadline: Deadline) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65536, alignment: 1)
        defer { buffer.deallocate() }
        while output >= 0 || reports >= 0 {
            if last.hasPassed { return }
            if deadline.hasPassed { cancel() }
            let wake = Deadline.after(milliseconds: 1000).sooner(last).sooner(deadline)
            guard let ready = try? waitReadable([output, reports] + attention.descriptors, until: wake) else { return }
            if ready.contains(0), let count = Self.take(&output, buffer), count > 0 {
                capture.take(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            }
            if ready.contains(1), let count = Self.take(&reports, buffer) {
                reported.take(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                // The janitor has gone, and with it every process that could hold the output open: a moment to drain.
                if count == 0 { last = last.sooner(.after(milliseconds: 2000)) }
            }
            if let reason = attention.attend(), interruption == nil {
                interruption = reason
                cancel()
            }
        }
    }

    /// Tells the janitor to kill everything, once, and bounds the rest of the wait.
    private mutating func cancel() {
        guard last == .never else { return }
        _ = try? writeAll(control, "kill\n")
        last = .after(milliseconds: 5000)
    }

    /// One read. Sets the descriptor to -1 at its end, where it returns 0; nil if nothing was there.
    private static func take(_ descriptor: inout Int32, _ buffer: UnsafeMutableRawBufferPointer) -> Int? {
        switch try? readSome(descriptor, into: buffer) {
        case .bytes(let count): return count
        case .wouldBlock: return nil
        case .end, nil:
            descriptor = -1
            return 0
        }
    }
}
