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
    private let cgroup: MemoryCgroup
    /// Where each limit is crossed: no lower than half of the room that was left when the command began, so that memory
    /// that others hold never keeps a command from running that could free it.
    private let atStart: Int64
    /// Since when the pod is above its limit while the command itself holds little of it.
    private var patience: Deadline?

    /// How fast memory can grow at all: 8 GB/s, in bytes a millisecond.
    private static let fastest: Int64 = 8_000_000
    /// How long a command that holds less than a quarter of what is used waits for others to give in.
    private static let courtesy: Int64 = 250

    package init(_ limits: JailLimits, cgroup: MemoryCgroup) {
        percent = limits.memoryPercent
        own = limits.memory.map { $0 << 20 }
        self.cgroup = cgroup
        atStart = cgroup.reading(exactFrom: 0)?.used ?? 0
    }

    /// Whether there is anything to watch.
    private var watchesPod: Bool { percent < 100 }

    /// - Returns: why the command has to be ended now, if it has; and in how many milliseconds to look again.
    package mutating func look() -> (reason: String?, again: Int64) {
        var again: Int64 = 1000
        if let own {
            let bytes = TreeMemory.bytes(refinedAbove: own)
            // Twice in a row: the shares of processes that end while they are being added up are counted again.
            if bytes > own, TreeMemory.bytes(refinedAbove: own) > own {
                return ("the command's processes hold \(mebibytes(bytes)) of \(mebibytes(own)) MiB of memory", 0)
            }
            // A walk through /proc: not more often.
            again = 100
        }
        guard watchesPod, let reading = cgroup.reading(exactFrom: percent) else { return (nil, again) }
        let threshold = Self.threshold(limit: reading.limit, percent: percent, atStart: atStart)
        guard reading.used >= threshold else {
            patience = nil
            // Before the kernel's limit can be reached from here, there is another look.
            return (nil, min(again, max(2, min(50, (reading.limit - reading.used) / Self.fastest))))
        }
        let bytes = TreeMemory.bytes(refinedAbove: reading.used / 4)
        // Another command may be the one. But files in memory are nobody's: where usage still rises, there is no waiting.
        if bytes < reading.used / 4, reading.used < threshold + (reading.limit - threshold) / 3 {
            let wait = patience ?? .after(milliseconds: Self.courtesy)
            patience = wait
            if !wait.hasPassed { return (nil, 2) }
        }
        return (explanation(reading, bytes), 0)
    }

    /// At which usage a command is ended, in bytes.
    static func threshold(limit: Int64, percent: Int, atStart: Int64) -> Int64 {
        max(limit / 100 * Int64(percent), min(limit, atStart) + (limit - min(limit, atStart)) / 2)
    }

    private func explanation(_ reading: MemoryCgroup.Reading, _ bytes: Int64) -> String {
        let files = cgroup.filesInMemory
        let kept =
            files >= reading.limit / 10 ? ", and \(mebibytes(files)) MiB are files in memory (/dev/shm, tmpfs)" : ""
        return "the pod's memory is \(mebibytes(reading.used)) of \(mebibytes(reading.limit)) MiB; of it the command's "
            + "processes held \(mebibytes(bytes)) MiB\(kept)"
    }
}

func mebibytes(_ bytes: Int64) -> Int64 { bytes >> 20 }
