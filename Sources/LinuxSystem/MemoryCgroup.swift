import Glibc

/// The memory cgroup of this process, for reading: how much there may be, how much there is, and whether the kernel has
/// killed for want of it. Version 2 (memory.max, memory.current, memory.events) and version 1.
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
        for (folder, isVersion1) in memoryCgroupFolders(membership: membership, mounts: mounts)
        where exists(folder + (isVersion1 ? "/memory.usage_in_bytes" : "/memory.current")) {
            version = isVersion1 ? .one : .two
            path = folder
            return
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

    /// How many of its processes the kernel has killed for want of memory. Version 1 counts since Linux 4.13.
    package var kills: Int64? {
        Self.text(path + (version == .two ? "/memory.events" : "/memory.oom_control")).flatMap {
            Self.field("oom_kill", in: $0)
        }
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
}

/// The folders of the memory cgroups that a process lives under, its own first, upwards to what is mounted; at most 16.
///
/// From the contents of /proc/self/cgroup and /proc/self/mountinfo, so that it does not matter whether the container sees
/// its own cgroup or the node's tree (cgroups(7), cgroup_namespaces(7)).
package func memoryCgroupFolders(membership: String, mounts: String) -> [(folder: String, isVersion1: Bool)] {
    var paths: [Bool: String] = [:]
    for line in membership.split(separator: "\n") {
        let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3 else { continue }
        if parts[1].isEmpty { paths[false] = String(parts[2]) }
        if parts[1].split(separator: ",").contains("memory") { paths[true] = String(parts[2]) }
    }
    var result: [(String, Bool)] = []
    for line in mounts.split(separator: "\n") {
        // id parent device ROOT MOUNTPOINT options … - TYPE source SUPER-OPTIONS (proc_pid_mountinfo(5))
        let fields = line.split(separator: " ")
        guard let dash = fields.firstIndex(of: "-"), dash + 3 < fields.count, dash > 5 else { continue }
        let isVersion1 = fields[dash + 1] == "cgroup"
        guard isVersion1 ? fields[dash + 3].split(separator: ",").contains("memory") : fields[dash + 1] == "cgroup2"
        else { continue }
        guard let path = paths[isVersion1] else { continue }
        let root = fields[3] == "/" ? "" : String(fields[3])
        // Where the mount shows only a part of the hierarchy that we do not lie in, its own top is our container's.
        var inside =
            path.hasPrefix(root + "/") && !path.split(separator: "/").contains("..")
            ? String(path.dropFirst(root.count)) : "/"
        while result.count < 16 {
            result.append((String(fields[4]) + (inside == "/" ? "" : inside), isVersion1))
            guard inside != "/", let slash = inside.lastIndex(of: "/") else { break }
            inside = slash == inside.startIndex ? "/" : String(inside[..<slash])
        }
    }
    return result
}
