import Glibc

/// The memory cgroup of this process, for reading: how much there may be, how much there is, and whether the kernel has
/// killed for want of it. Version 2 (memory.max, memory.current, memory.events) and version 1.
///
/// Found through /proc/self/cgroup and /proc/self/mountinfo, so that it does not matter whether the container sees its
/// own cgroup or the node's tree (cgroups(7), cgroup_namespaces(7)).
package struct MemoryCgroup: Equatable, Sendable {
    package enum Version: Int, Sendable {
        case one = 1
        case two = 2
    }
    package let version: Version
    /// The folder with the files.
    package let path: String

    /// nil if the process is in none, or none is mounted where we can read it.
    package init?() {
        guard let membership = Self.text("/proc/self/cgroup"), let mounts = Self.text("/proc/self/mountinfo") else {
            return nil
        }
        self.init(membership: membership, mounts: mounts) { access($0, R_OK) == 0 }
    }

    /// From the texts of the two files; `exists` tells whether a file can be read.
    package init?(membership: String, mounts: String, exists: (String) -> Bool) {
        for version in [Version.two, .one] {
            guard let own = Self.ownPath(membership, version) else { continue }
            for (root, point) in Self.mounts(mounts, version) {
                // What is mounted is the part of the hierarchy below `root`.
                guard root == "/" || own == root || own.hasPrefix(root + "/") else { continue }
                let below = root == "/" ? own : String(own.dropFirst(root.count))
                let path = below == "/" ? point : point + below
                let proof = version == .two ? "memory.current" : "memory.usage_in_bytes"
                if exists(path + "/" + proof) {
                    self.version = version
                    self.path = path
                    return
                }
            }
        }
        return nil
    }

    /// The most that the cgroup may have, in bytes; nil if there is no limit.
    package var limit: Int64? {
        guard let value = number(version == .two ? "memory.max" : "memory.limit_in_bytes") else { return nil }
        // Version 1 says "no limit" with the largest number of whole pages.
        return value > 1 << 60 ? nil : value
    }

    /// What it has, page cache included, in bytes.
    package var current: Int64? { number(version == .two ? "memory.current" : "memory.usage_in_bytes") }

    /// The most that it ever had; version 2 knows it since Linux 5.19.
    package var peak: Int64? { number(version == .two ? "memory.peak" : "memory.max_usage_in_bytes") }

    /// How many of its processes the kernel has killed for want of memory. Version 1 counts since Linux 4.13.
    package var kills: Int64? {
        Self.text(path + (version == .two ? "/memory.events" : "/memory.oom_control")).flatMap {
            Self.field("oom_kill", in: $0)
        }
    }

    /// A number of memory.stat, in bytes; of both versions, `inactive_file` is page cache that can be had back at once.
    package func statistic(_ name: String) -> Int64? {
        Self.text(path + "/memory.stat").flatMap { Self.field(name, in: $0) }
    }

    private func number(_ file: String) -> Int64? {
        Self.text(path + "/" + file).flatMap { Int64($0.prefix { $0.isNumber }) }
    }

    private static func text(_ path: String) -> String? {
        (try? readFile(path, limit: 1 << 20)).map { String(decoding: $0, as: UTF8.self) }
    }

    private static func field(_ name: String, in text: String) -> Int64? {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, words[0] == name { return Int64(words[1]) }
        }
        return nil
    }

    /// `0::/path` of version 2, `4:memory:/path` of version 1.
    private static func ownPath(_ membership: String, _ version: Version) -> String? {
        for line in membership.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let isOurs =
                version == .two ? parts[0] == "0" && parts[1] == "" : parts[1].split(separator: ",").contains("memory")
            if isOurs { return String(parts[2]) }
        }
        return nil
    }

    /// Root and mount point of each mount of the hierarchy (proc_pid_mountinfo(5)).
    private static func mounts(_ text: String, _ version: Version) -> [(root: String, point: String)] {
        text.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard let dash = words.firstIndex(of: "-"), dash >= 6, words.count >= dash + 4 else { return nil }
            let isOurs =
                version == .two
                ? words[dash + 1] == "cgroup2"
                : words[dash + 1] == "cgroup" && words[dash + 3].split(separator: ",").contains("memory")
            return isOurs ? (String(words[3]), String(words[4])) : nil
        }
    }
}
