import Contracts
import Glibc
import LinuxSystem
import Synchronization

/// The janitors that live: what must be spared when the tree of one that was killed is ended. One of them may be waiting
/// for its command.
final class Janitors: Sendable {
    private struct Retired {
        let pid: Int32
        let limit: Deadline
        /// It was killed while it waited: the command's process that it may have made ahead has come to us, dead too.
        var leavesChild = false
    }

    private struct Posts: ~Copyable {
        var living: Set<Int32> = []
        var waiting: JanitorInWaiting?
        /// Those that have reported, and by when they must have ended.
        var retired: [Retired] = []

        /// Reaps the retired that have ended, and kills one that should have.
        mutating func reapRetired() {
            var leavesChild = false
            retired.removeAll { one in
                if one.limit.hasPassed { _ = kill(one.pid, SIGKILL) }
                guard reap(one.pid) != nil else { return false }
                living.remove(one.pid)
                leavesChild = leavesChild || one.leavesChild
                return true
            }
            if leavesChild { _ = endOrphans(sparing: living, until: .after(milliseconds: 1000)) }
        }
    }

    private let posts = Mutex(Posts())

    var living: Set<Int32> { posts.withLock { $0.living } }

    func insert(_ pid: Int32) {
        posts.withLock { posts in
            // First: what is not known to live is an orphan.
            posts.living.insert(pid)
            posts.reapRetired()
        }
    }

    func remove(_ pid: Int32) { posts.withLock { _ = $0.living.remove(pid) } }

    /// Has a janitor that has reported reaped when the next one comes; it has 5 s to end.
    func retire(_ pid: Int32) {
        posts.withLock { $0.retired.append(Retired(pid: pid, limit: .after(milliseconds: 5000))) }
    }

    /// Gives the request to the one that waits, if there is one.
    ///
    /// - Returns: its pid; nil if one has to be started with the request.
    func assign(_ message: [UInt8], _ descriptors: [Int32]) -> Int32? {
        posts.withLock { posts in
            guard let waiting = posts.waiting.take() else { return nil }
            if waiting.take(message, descriptors) { return waiting.pid }
            // Spared and reaped like any other until it has ended, which SIGKILL only begins.
            waiting.dismiss()
            posts.retired.append(Retired(pid: waiting.pid, limit: .after(milliseconds: 0), leavesChild: true))
            return nil
        }
    }

    /// Starts the one that is to wait, if none does. That it cannot be started is no harm: the next is started with its
    /// request, and says what is wrong.
    func expect(_ sample: JailRequest, program: String) {
        posts.withLock { posts in
            posts.reapRetired()
            guard posts.waiting == nil, let waiting = try? JanitorInWaiting(program: program, like: sample) else {
                return
            }
            posts.living.insert(waiting.pid)
            posts.waiting = consume waiting
        }
    }
}
