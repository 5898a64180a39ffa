import Glibc
import LinuxSystem

/// The descriptor by which the agent has a command ended.
struct Control {
    /// -1 if there is none: poll(2) then passes over it.
    private(set) var descriptor: Int32
    private var received = 0

    /// The one order, "kill" and a newline, has five bytes.
    private static let order = 5

    init(_ descriptor: Int32?) { self.descriptor = descriptor ?? -1 }

    /// Takes in what has come, once poll has said that something has.
    ///
    /// - Returns: whether the command must be ended: the line `kill` has come, or the other end has gone. Anything else
    ///   of that length ends it too: a command that nobody can stop is worse than one that was stopped.
    mutating func asksForEnd() -> Bool {
        withUnsafeTemporaryAllocation(byteCount: Self.order, alignment: 1) { buffer in
            do throws(SystemError) {
                switch try readSome(descriptor, into: buffer) {
                case .wouldBlock: return false
                case .end: return true
                case .bytes(let count): received += count
                }
                return received >= Self.order
            } catch {
                // Nothing more can come from it: as good as gone.
                return true
            }
        }
    }
}
