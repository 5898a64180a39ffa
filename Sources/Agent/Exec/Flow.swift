import Glibc
import LinuxSystem

/// One direction between us and a command: what comes from `source` goes to the sink, through one buffer.
///
/// Bounded and without a wait: nothing is read while the buffer is not empty, so a reader that does not read holds up
/// the command, and memory stays flat whatever the command prints. From a command's pipe into a pipe of ours the kernel
/// moves the pages and nothing is copied: not the other way round, a command is given bytes and not our pages. Used from
/// one thread.
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
    /// Both are pipes.
    private let moves: Bool
    private var sinkIsFull = false
    /// Written after the source has ended, once all else is: the end of input that a terminal understands.
    private let farewell: (UInt8) -> [UInt8]
    private var lastByte = UInt8(ascii: "\n")
    private(set) var sourceHasEnded = false
    private(set) var sinkIsBroken = false

    init(from source: Int32, to sink: Int32, farewell: @escaping (UInt8) -> [UInt8] = { _ in [] }) {
        self.source = source
        self.sink = .descriptor(sink)
        self.farewell = farewell
        moves = false
    }

    /// What a command writes into a pipe of ours.
    init(fromPipe source: Int32, to sink: Int32) {
        self.source = source
        self.sink = .descriptor(sink)
        farewell = { _ in [] }
        moves = isPipe(sink)
    }

    init(from source: Int32, to capture: Capture) {
        self.source = source
        sink = .capture(capture)
        farewell = { _ in [] }
        moves = false
    }

    deinit { buffer.deallocate() }

    /// To be polled for reading now; -1 if nothing is to be read.
    var readable: Int32 { sourceHasEnded || sinkIsBroken || sinkIsFull || !pending.isEmpty ? -1 : source }

    /// To be polled for writing now; -1 if nothing is to be written.
    var writable: Int32 {
        guard case .descriptor(let number) = sink, !pending.isEmpty || sinkIsFull, !sinkIsBroken else { return -1 }
        return number
    }

    /// Whether nothing will come any more and nothing is left to be delivered.
    var isDone: Bool { sinkIsBroken || (sourceHasEnded && pending.isEmpty) }

    /// Reads once, when the source can be read.
    func fill() -> Turn {
        if moves {
            switch move() {
            case .bytes, .end: return .fine
            case .wouldBlock where holdsBytes(source):
                sinkIsFull = true
                return .fine
            // Whether it has ended is seen even while the sink is full: nobody waits then for a reader.
            case .wouldBlock: break
            case nil: return .broken
            }
        }
        switch try? readSome(source, into: buffer) {
        case .wouldBlock: return .fine
        case .bytes(let count):
            lastByte = buffer[count - 1]
            pending = 0..<count
        case .end, nil: endSource()
        }
        if case .capture(let capture) = sink {
            capture.take(UnsafeRawBufferPointer(rebasing: buffer[pending]))
            pending = 0..<0
        }
        return .fine
    }

    /// Moves once. Nil if the sink takes nothing any more.
    private func move() -> ReadOutcome? {
        guard case .descriptor(let number) = sink else { return nil }
        do throws(SystemError) {
            let outcome = try moveNow(from: source, to: number)
            if outcome == .end { endSource() }
            return outcome
        } catch {
            sinkIsBroken = true
            return nil
        }
    }

    /// Reads no more: what has been read is still delivered.
    func endSource() {
        guard !sourceHasEnded else { return }
        sourceHasEnded = true
        sinkIsFull = false
        let words = farewell(lastByte)
        buffer.copyBytes(from: words)
        pending = 0..<words.count
    }

    /// Writes what the sink takes, when it can be written.
    func drain() -> Turn {
        guard case .descriptor(let number) = sink else { return .fine }
        if sinkIsFull {
            sinkIsFull = false
            return fill()
        }
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
