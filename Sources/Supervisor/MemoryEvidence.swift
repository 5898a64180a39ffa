import Glibc
package import LinuxSystem

/// Whether a SIGKILL that nobody of us sent was the kernel's for want of memory.
///
/// The kernel counts a kill in the cgroup before it sends the signal (mm/oom_kill.c, __oom_kill_process): whoever has
/// reaped the process can see it. A cgroup that is killed as a group (memory.oom.group) takes us along, and the
/// kubelet says so.
package struct MemoryEvidence {
    private let cgroup: MemoryCgroup?
    private var kills: Int64?

    package init(_ cgroup: MemoryCgroup? = MemoryCgroup()) {
        self.cgroup = cgroup
        kills = cgroup?.kills
    }

    /// What the cgroup says of the end of a child.
    package enum Finding: Equatable, Sendable {
        /// The kernel has killed for want of memory; the limit in bytes, if there is one.
        case ranOut(limit: Int64?)
        case didNotRunOut
        /// There is no memory cgroup to read.
        case unknown
    }

    /// The finding for the time since the last one; nil if the child did not end by SIGKILL.
    package mutating func find(_ end: ProcessEnd) -> Finding? {
        let (before, now) = (kills, cgroup?.kills)
        kills = now
        guard end == .signaled(SIGKILL) else { return nil }
        guard let cgroup, let before, let now else { return .unknown }
        return now > before ? .ranOut(limit: cgroup.limit) : .didNotRunOut
    }
}

extension MemoryEvidence.Finding {
    /// For the record.
    package var word: String {
        switch self {
        case .ranOut: "ran out"
        case .didNotRunOut: "did not run out"
        case .unknown: "unknown"
        }
    }

    /// For the cause, where it is one.
    package var cause: String? {
        guard case .ranOut(let limit) = self else { return nil }
        return "for want of memory" + (limit.map { " (the pod's limit is \($0 >> 20) MiB)" } ?? "")
    }
}
