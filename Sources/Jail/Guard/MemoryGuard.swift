package import Contracts
import LinuxSystem

/// Ends a command before the pod's memory is used up.
///
/// The kubelet sets memory.oom.group: at the limit the kernel would end every process of the pod, the agent first among
/// them. The janitor is the right place to look: it does nothing else while the command runs, it can end the whole tree
/// without asking anybody, and it watches over a background command as over any other.
package struct MemoryGuard {
    private let percent: Int
    /// The limit of the command's own processes, in bytes.
    private let own: Int64?
    private let cgroup: MemoryLimits
    /// Where each limit is crossed: no lower than half of the room that was left when the command began, so that memory
    /// that others hold never keeps a command from running that could free it.
    private let atStart: Int64

    /// When to walk through /proc again for the command's own memory.
    private var ownDue = Deadline.after(milliseconds: 0)

    /// Between two such walks, in milliseconds: one takes about a millisecond.
    private static let walkPause: Int64 = 100
    /// How fast memory can grow at all: 8 GB/s, in bytes a millisecond.
    private static let fastest: Int64 = 8_000_000

    package init(_ limits: JailLimits, cgroup: MemoryLimits) {
        percent = limits.memoryPercent
        own = limits.memory.map { $0 << 20 }
        self.cgroup = cgroup
        atStart = cgroup.reading(exactFrom: 0)?.used ?? 0
    }

    /// - Returns: why the command has to be ended now, if it has; and in how many milliseconds to look again.
    package mutating func look() -> (reason: String?, again: Int64) {
        let (reason, again) = lookAtPod()
        if reason != nil { return (reason, 0) }
        guard let own else { return (nil, again) }
        if ownDue.hasPassed {
            let bytes = TreeMemory.bytes(refinedAbove: own)
            // Twice in a row: the shares of processes that end while they are being added up are counted again.
            if bytes > own, TreeMemory.bytes(refinedAbove: own) > own {
                return ("the command's processes hold \(mebibytes(bytes)) of \(mebibytes(own)) MiB of memory", 0)
            }
            ownDue = .after(milliseconds: Self.walkPause)
        }
        return (nil, min(again, max(1, ownDue.remaining)))
    }

    private func lookAtPod() -> (reason: String?, again: Int64) {
        guard percent < 100, let reading = cgroup.reading(exactFrom: percent) else { return (nil, 1000) }
        let threshold = Self.threshold(limit: reading.limit, percent: percent, atStart: atStart)
        guard reading.used >= threshold else {
            // Before the kernel's limit can be reached from here, there is another look.
            return (nil, max(2, min(50, (reading.limit - reading.used) / Self.fastest)))
        }
        // Nothing that takes long from here to the kill: whose memory it is would be known too late.
        let files = cgroup.filesInMemory
        let kept =
            files >= reading.limit / 10 ? "; \(mebibytes(files)) MiB of it are files in memory (/dev/shm, tmpfs)" : ""
        return ("the pod's memory is \(mebibytes(reading.used)) of \(mebibytes(reading.limit)) MiB\(kept)", 0)
    }

    /// At which usage a command is ended, in bytes.
    static func threshold(limit: Int64, percent: Int, atStart: Int64) -> Int64 {
        max(limit / 100 * Int64(percent), min(limit, atStart) + (limit - min(limit, atStart)) / 2)
    }
}

func mebibytes(_ bytes: Int64) -> Int64 { bytes >> 20 }
