import Contracts
import LinuxSystem

/// What the janitor looks at while a command runs: the pod's memory and the volumes' space.
///
/// Cheap: a look is a few reads of a few microseconds, at most every 2 ms where there is little room, every 50 ms where
/// there is enough, and once a second where nothing is limited.
struct ResourceGuard {
    private var memory: MemoryGuard
    private let disk: DiskGuard
    private var memoryDue = Deadline.after(milliseconds: 0)
    private var diskDue = Deadline.after(milliseconds: 0)

    /// To be made as the command starts: it takes in what is used already.
    init(_ request: JailRequest) {
        memory = MemoryGuard(request.limits, cgroup: .ofThisProcess())
        disk = DiskGuard(request.limits, project: request.project)
    }

    /// When to look again.
    var due: Deadline { memoryDue.sooner(diskDue) }

    /// Looks, if it is due.
    ///
    /// - Returns: how the command ends, if it has to.
    mutating func look() -> JailReport.End? {
        if memoryDue.hasPassed {
            let (reason, again) = memory.look()
            if let reason { return .exhausted(.memory, message: reason) }
            memoryDue = .after(milliseconds: again)
        }
        if diskDue.hasPassed {
            let (reason, again) = disk.look()
            if let reason { return .exhausted(.disk, message: reason) }
            diskDue = .after(milliseconds: again)
        }
        return nil
    }
}
