import Contracts
import LinuxSystem

/// What the janitor looks at while a command runs: the pod's memory and the volumes' space.
///
/// Cheap: a look is a few reads of a few microseconds, at most every 2 ms where there is little room, every 50 ms where
/// there is enough, and once a second where nothing is limited.
struct ResourceGuard {
    private let request: JailRequest
    /// Made at the first look: to find the pod's limits takes half as long as a short command runs.
    private var guards: (memory: MemoryGuard, disk: DiskGuard)?
    private var memoryDue = Deadline.after(milliseconds: firstLook)
    private var diskDue = Deadline.after(milliseconds: firstLook)

    /// From the command's start to the first look, in milliseconds: the shortest time between two.
    private static let firstLook: Int64 = 2

    /// To be made when the command starts: what is in use at the first look is taken to be none of its doing.
    init(_ request: JailRequest) { self.request = request }

    /// When to look again.
    var due: Deadline { memoryDue.sooner(diskDue) }

    /// Looks, if it is due.
    ///
    /// - Returns: how the command ends, if it has to.
    mutating func look() -> JailReport.End? {
        guard due.hasPassed else { return nil }
        var (memory, disk) =
            guards
            ?? (
                MemoryGuard(request.limits, cgroup: .ofThisProcess()),
                DiskGuard(request)
            )
        defer { guards = (memory, disk) }
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
