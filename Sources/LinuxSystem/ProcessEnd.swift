import CLinux
import Glibc

/// How a process ended.
package enum ProcessEnd: Equatable, Sendable {
    case exited(Int32)
    case signaled(Int32)

    /// Decodes a status from wait4(2). WIFEXITED and the like are macros, which Swift cannot import; the layout is
    /// the kernel's (include/uapi: low 7 bits the signal, bits 8–15 the code).
    package init(status: Int32) {
        let signal = status & 0x7f
        self = signal == 0 ? .exited((status >> 8) & 0xff) : .signaled(signal)
    }

    /// The exit code a shell would give: the code itself, or 128 + the signal.
    package var shellCode: Int32 {
        switch self {
        case .exited(let code): code
        case .signaled(let signal): 128 + signal
        }
    }
}

/// The resources that a child and its waited-for children used.
package struct Usage: Equatable, Sendable {
    /// Milliseconds of user and system time.
    package let user: Int64
    package let system: Int64
    /// The largest resident set of one process, in KiB.
    package let maximumResident: Int64

    init(_ usage: rusage) {
        user = Int64(usage.ru_utime.tv_sec) * 1000 + Int64(usage.ru_utime.tv_usec) / 1000
        system = Int64(usage.ru_stime.tv_sec) * 1000 + Int64(usage.ru_stime.tv_usec) / 1000
        maximumResident = Int64(usage.ru_maxrss)
    }
}

/// A child that has been reaped.
package struct Reaped: Equatable, Sendable {
    package let pid: Int32
    package let end: ProcessEnd
    package let usage: Usage
}

/// Reaps one child that has ended (`pid` -1: any), without waiting.
///
/// - Returns: nil if none has ended or there is no child.
package func reap(_ pid: Int32 = -1) -> Reaped? {
    var status: Int32 = 0
    var usage = rusage()
    while true {
        let result = wait4(pid, &status, WNOHANG, &usage)
        if result > 0 { return Reaped(pid: result, end: ProcessEnd(status: status), usage: Usage(usage)) }
        // EINTR is not the end of a pass (docs/ARCHITECTURE.md, "PID 1").
        if result < 0, errno == EINTR { continue }
        return nil
    }
}

/// Waits for a child to end, and reaps it.
///
/// - Returns: nil if it has not ended by the deadline.
package func reap(_ pid: Int32, until deadline: Deadline) -> Reaped? {
    // Readable once the process has ended (pidfd_open(2)). Without one, for want of descriptors, it is looked for.
    let process = Descriptor(adopting: clinux_pidfd_open(pid))
    while true {
        if let reaped = reap(pid) { return reaped }
        if deadline.hasPassed { return nil }
        let pause = process.number < 0 ? Deadline.after(milliseconds: 5).sooner(deadline) : deadline
        _ = try? waitReadable([process.number], until: pause)
    }
}
