import Glibc
import LinuxSystem

/// One direction between us and a command: what comes from `source` goes to the sink, through one buffer.
///
/// Bounded and without a wait: nothing is read while the buffer is not empty, so a reader that does not read holds up
/// the command, and memory stays flat whatever the command prints. Used from one thread.
final class Flow {
    /// What has become of a descriptor that we were writing to.
    enum Turn: Equatable {
        case fine
        /// The reader has gone.
        case broken
    }

    private enum Sink {
        case descriptor(Int32)
        case capture(Capture)
    }

    private static let size = 65536
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 1)
    private var pending = 0..<0
    private var source: Int32
    private var sink: Sink
    /// Written after the source has ended, once all else is: the end of input that a terminal understands.
    private let farewell: (UInt8) -> [UInt8]
    private var lastByte = UInt8(ascii: "\n")
    private(set) var sourceHasEnded = false
    private(set) var sinkIsBroken = false

    init(from source: Int32, to sink: Int32, farewell: @escaping (UInt8) -> [UInt8] = { _ in [] }) {
        self.source = source
        self.sink = .descriptor(sink)
        self.farewell = farewell
    }

    init(from source: Int32, to capture: Capture) {
        self.source = source
        sink = .capture(capture)
        farewell = { _ in [] }
    }

    deinit { buffer.deallocate() }

    /// To be polled for reading now; -1 if nothing is to be read.
    var readable: Int32 { sourceHasEnded || sinkIsBroken || !pending.isEmpty ? -1 : source }

    /// To be polled for writing now; -1 if nothing is to be written.
    var writable: Int32 {
        guard case .descriptor(let number) = sink, !pending.isEmpty, !sinkIsBroken else { return -1 }
        return number
    }

    /// Whether nothing will come any more and nothing is left to be delivered.
    var isDone: Bool { sinkIsBroken || (sourceHasEnded && pending.isEmpty) }

    /// Reads once, when the source can be read.
    func fill() {
        switch try? readSome(source, into: buffer) {
        case .wouldBlock: return
        case .bytes(let count):
            lastByte = buffer[count - 1]
            pending = 0..<count
        case .end, nil: endSource()
        }
        if case .capture(let capture) = sink {
            capture.take(UnsafeRawBufferPointer(rebasing: buffer[pending]))
            pending = 0..<0
        }
    }

    /// Reads no more: what has been read is still delivered.
    func endSource() {
        guard !sourceHasEnded else { return }
        sourceHasEnded = true
        let words = farewell(lastByte)
        buffer.copyBytes(from: words)
        pending = 0..<words.count
    }

    /// Writes what the sink takes, when it can be written.
    func drain() -> Turn {
        guard case .descriptor(let number) = sink else { return .fine }
        do throws(SystemError) {
            pending.removeFirst(try writeNow(number, UnsafeRawBufferPointer(rebasing: buffer[pending])))
            return .fine
        } catch {
            // EPIPE mostly; whatever it is, it takes nothing any more.
            sinkIsBroken = true
            return .broken
        }
    }
}

/// An `OutputCapture` that can be shared with a flow.
final class Capture {
    private var content = OutputCapture()

    func take(_ chunk: UnsafeRawBufferPointer) { content.take(chunk) }

    var parts: OutputCapture.Parts { content.parts }
}
