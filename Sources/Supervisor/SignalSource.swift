import CLinux
import LinuxSystem

/// A signal that has reached us.
package struct ReceivedSignal: Equatable, Sendable {
    package let number: Int32
    /// Why it was sent (si_code).
    package let code: Int32
    /// Who sent it, as seen from our pid namespace: 0 for the kernel and for senders outside of it.
    package let sender: Int32

    package init(number: Int32, code: Int32, sender: Int32) {
        self.number = number
        self.code = code
        self.sender = sender
    }

    private static let fromKill: Int32 = 0  // SI_USER
    private static let fromThreadKill: Int32 = -6  // SI_TKILL
    private static let fromKernel: Int32 = 0x80  // SI_KERNEL

    /// Whether it came from outside the pid namespace whose PID 1 we are, or from the kernel.
    ///
    /// kill(2) and tgkill(2) let the kernel fill the sender in. sigqueue(3) and rt_sigqueueinfo(2) let the caller
    /// write any sender, 0 too, and mark themselves by another negative code (kernel/signal.c, do_rt_sigqueueinfo):
    /// those are never taken to be from outside.
    package var isFromOutside: Bool {
        sender == 0 && [Self.fromKill, Self.fromThreadKill, Self.fromKernel].contains(code)
    }

    /// Whether a terminal sent it (^C, ^Z, a resize): then the foreground process group has it already.
    package var isFromKernel: Bool { code == Self.fromKernel }
}

/// All signals to this process, blocked and read from a signalfd(2): none interrupts, none is lost between two calls.
///
/// What a blocked signal cannot tell: two of one kind that come before we have read the first are one, with the first
/// one's sender. A command that floods PID 1 with SIGTERM could so hide the kubelet's; the jail denies commands
/// signals to processes outside of it (Landlock's signal scope).
final class SignalSource {
    private let file: Descriptor

    /// Blocks the signals for good. `withFaults`: SIGSEGV and its like too, sent by somebody. One that is raised by a
    /// fault of our own ends us all the same (cinit.h).
    ///
    /// - Throws: `SystemError("signalfd")`.
    init(withFaults: Bool) throws(SystemError) {
        let result = clinux_signals_open(withFaults ? 1 : 0)
        guard result >= 0 else { throw SystemError("signalfd", code: -result) }
        file = Descriptor(adopting: result)
    }

    /// Readable when a signal is there.
    var descriptor: Int32 { file.number }

    /// The signals that are there now, at most 256 so that a storm cannot keep us from everything else.
    func take() -> [ReceivedSignal] {
        var result: [ReceivedSignal] = []
        var signal = clinux_signal()
        while result.count < 256, clinux_signals_next(file.number, &signal) == 1 {
            result.append(ReceivedSignal(number: signal.number, code: signal.code, sender: signal.pid))
        }
        return result
    }
}
