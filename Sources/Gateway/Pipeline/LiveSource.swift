import Events
import LinuxSystem

/// The pipe with what is only shown. Of it, only the signs of life matter as yet.
struct LiveSource: ~Copyable {
    /// -1 once the pipe has ended, or if there is none.
    private(set) var descriptor: Int32
    private var line: [UInt8] = []
    private var isOverlong = false

    private static let lineLimit = 64 << 10
    private static let share = 256 << 10

    init(_ descriptor: Int32?) throws(SystemError) {
        self.descriptor = descriptor ?? -1
        if let descriptor { try setNonBlocking(descriptor, true) }
    }

    var hasEnded: Bool { descriptor < 0 }

    /// Reads what is there; true if the loop gave a sign of life.
    mutating func read(into buffer: UnsafeMutableRawBufferPointer) -> Bool {
        var isAlive = false
        var count = 0
        while descriptor >= 0, count < Self.share {
            let outcome = (try? readSome(descriptor, into: buffer)) ?? .end
            if case .wouldBlock = outcome { break }
            guard case .bytes(let read) = outcome else {
                descriptor = -1
                break
            }
            count += read
            for byte in buffer[..<read] where take(byte) { isAlive = true }
        }
        return isAlive
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard byte == UInt8(ascii: "\n") else {
            if line.count < Self.lineLimit { line.append(byte) } else { isOverlong = true }
            return false
        }
        defer {
            line.removeAll(keepingCapacity: true)
            isOverlong = false
        }
        // Only the loop's main thread writes here, so whatever it is, it is a sign of life; but rubbish is none.
        return !isOverlong && line.first == UInt8(ascii: "{") && line.last == UInt8(ascii: "}")
    }
}
