import Glibc
import LinuxSystem

/// The memory limits that this process lives under, as its cgroups tell: version 2, or version 1's memory controller.
///
/// In a container the mount shows the container's own cgroup as its root; on a host every folder from the process's
/// cgroup upwards may have a limit, and each counts. Nothing is written, so no right is needed.
package struct MemoryLimits {
    /// One cgroup on the way from ours to the root.
    private struct Level {
        let folder: String
        let isVersion1: Bool
        /// Open on the usage's file: read again and again, so it is not opened each time.
        let usage: Int32

        func number(_ name: String) -> Int64? {
            guard let bytes = try? readFile(folder + "/" + name, limit: 4096) else { return nil }
            let text = String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
            // Version 2 says "max" for no limit, version 1 a number beyond every machine.
            guard let value = Int64(text), value < 1 << 50 else { return nil }
            return value
        }

        var limit: Int64? { number(isVersion1 ? "memory.limit_in_bytes" : "memory.max") }

        var current: Int64? {
            var digits: (UInt64, UInt64, UInt64) = (0, 0, 0)
            return withUnsafeMutableBytes(of: &digits) { buffer in
                let count = pread(usage, buffer.baseAddress, buffer.count, 0)
                guard count > 0 else { return nil }
                return Int64(String(decoding: buffer[..<count].prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
            }
        }

        /// Bytes of `memory.stat` by their names, those of all descendants included.
        func statistics(_ names: [String]) -> Int64 {
            guard let bytes = try? readFile(folder + "/memory.stat", limit: 65536) else { return 0 }
            var sum: Int64 = 0
            for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
                let parts = line.split(separator: " ")
                guard parts.count == 2, names.contains(isVersion1 ? "\(parts[0].dropFirst(6))" : "\(parts[0])") else {
                    continue
                }
                if isVersion1, !parts[0].hasPrefix("total_") { continue }
                sum += Int64(parts[1]) ?? 0
            }
            return sum
        }

        /// What the kernel gives back before it kills: pages of files, and caches of names. A build that reads many
        /// files fills the cgroup with them and is in no danger. Files in memory (tmpfs) are not among them.
        var reclaimable: Int64 { statistics(["inactive_file", "active_file", "slab_reclaimable"]) }
    }

    /// What is used of the tightest limit.
    package struct Reading: Equatable, Sendable {
        /// Bytes that cannot be reclaimed, and the limit. Where `used` is far below the limit it may be too high by
        /// what could be reclaimed.
        package var used: Int64
        package var limit: Int64

        package init(used: Int64, limit: Int64) {
            self.used = used
            self.limit = limit
        }
    }

    private let levels: [Level]

    /// The cgroups of the calling process; none if they cannot be seen.
    package static func ofThisProcess() -> MemoryLimits {
        let membership = (try? readFile("/proc/self/cgroup", limit: 65536)) ?? []
        let mounts = (try? readFile("/proc/self/mountinfo", limit: 1 << 20)) ?? []
        return MemoryLimits(
            membership: String(decoding: membership, as: UTF8.self), mounts: String(decoding: mounts, as: UTF8.self))
    }

    /// - Parameters: the contents of `/proc/self/cgroup` and `/proc/self/mountinfo`.
    package init(membership: String, mounts: String) {
        levels = memoryCgroupFolders(membership: membership, mounts: mounts).compactMap { folder, isVersion1 in
            let file = folder + (isVersion1 ? "/memory.usage_in_bytes" : "/memory.current")
            let usage = open(file, O_RDONLY | O_CLOEXEC)
            // The root of a host's hierarchy has no such file.
            return usage < 0 ? nil : Level(folder: folder, isVersion1: isVersion1, usage: usage)
        }
    }

    /// What is used of the limit that has the least room.
    ///
    /// - Parameter percent: where usage is below this percentage of a limit, it is not looked into what could be
    ///   reclaimed: that costs more than all else here.
    /// - Returns: nil if there is no limit.
    package func reading(exactFrom percent: Int) -> Reading? {
        var tightest: Reading?
        for level in levels {
            // Read each time: a limit can be changed while the pod runs.
            guard let limit = level.limit, limit > 0, var used = level.current else { continue }
            if used >= limit / 100 * Int64(percent) { used = max(0, used - level.reclaimable) }
            if let least = tightest, least.limit - least.used <= limit - used { continue }
            tightest = Reading(used: used, limit: limit)
        }
        return tightest
    }

    /// Bytes of files in memory (`/dev/shm`, tmpfs), which no kill frees.
    package var filesInMemory: Int64 { levels.first?.statistics(["shmem"]) ?? 0 }
}
