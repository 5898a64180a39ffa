import Synchronization

/// The janitors that live: what must be spared when the tree of one that was killed is ended.
final class Janitors: Sendable {
    private let pids = Mutex<Set<Int32>>([])

    var living: Set<Int32> { pids.withLock { $0 } }

    func insert(_ pid: Int32) { pids.withLock { _ = $0.insert(pid) } }

    func remove(_ pid: Int32) { pids.withLock { _ = $0.remove(pid) } }
}
