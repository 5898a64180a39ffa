import CLinux

/// Signals as something to read: blocked, and taken one by one when they are looked for.
///
/// Make it before any thread is started, for each thread inherits the mask of its maker; a signal that a thread does
/// not block would end the process instead.
package struct SignalDescriptor: ~Copyable {
    private let descriptor: Descriptor

    /// Blocks the signals in the calling thread.
    ///
    /// - Throws: `SystemError("signalfd")`.
    package init(_ signals: [Int32]) throws(SystemError) {
        let result = clinux_signal_descriptor(signals, Int32(signals.count))
        guard result >= 0 else { throw SystemError("signalfd", code: -result) }
        descriptor = Descriptor(adopting: result)
    }

    /// To be polled for reading.
    package var number: Int32 { descriptor.number }

    /// The next signal that has come, nil if there is none.
    package func next() -> Int32? {
        let signal = clinux_next_signal(descriptor.number)
        return signal > 0 ? signal : nil
    }
}
