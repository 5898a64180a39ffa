import CLinux
import Glibc

/// Makes this process the heir of its descendants' orphans (PR_SET_CHILD_SUBREAPER, 36): whatever loses its parent below
/// us becomes our child, instead of PID 1's.
package func becomeSubreaper() { _ = clinux_prctl(36, 1, 0, 0, 0) }

/// Ends every descendant of this process but `spared` and what lies below them, and waits until there is none.
///
/// For descendants whose janitor was killed, in a process that is a subreaper. Each round stops all before it kills, so
/// that what goes on forking is overtaken.
///
/// - Returns: how many were killed; nil if some are still there at the deadline.
package func endOrphans(sparing spared: Set<Int32>, until deadline: Deadline) -> Int? {
    var killed: Set<Int32> = []
    while true {
        let found = descendants(sparing: spared)
        for process in found where process.isZombie && process.parent == getpid() { _ = reap(process.pid) }
        let living = found.filter { !$0.isZombie }
        if living.isEmpty, found.isEmpty || !found.contains(where: { $0.parent == getpid() }) { return killed.count }
        guard !deadline.hasPassed else { return living.isEmpty ? killed.count : nil }
        for signal in [SIGSTOP, SIGKILL] {
            for process in living where process.send(signal) { killed.insert(process.pid) }
        }
        _ = poll(nil, 0, 2)
    }
}

/// A process as /proc/<pid>/stat shows it.
private struct Relative {
    let pid: Int32
    let parent: Int32
    let isZombie: Bool
    /// Clock ticks since boot: with the pid, one process and no other.
    let start: UInt64

    init?(_ pid: Int32) {
        guard let bytes = try? readFile("/proc/\(pid)/stat", limit: 4096) else { return nil }
        // pid (name) state ppid …: the name may have spaces and parentheses, the last one ends it.
        guard let end = bytes.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = String(decoding: bytes[(end + 1)...], as: UTF8.self).split(separator: " ")
        guard fields.count > 19, let parent = Int32(fields[1]), let start = UInt64(fields[19]) else { return nil }
        self.pid = pid
        self.parent = parent
        self.start = start
        isZombie = fields[0] == "Z" || fields[0] == "X"
    }

    /// Signals this very process: by a descriptor that is opened before it is known again by its start.
    func send(_ signal: Int32) -> Bool {
        let number = clinux_pidfd_open(pid)
        guard number >= 0 else { return false }
        let process = Descriptor(adopting: number)
        guard Relative(pid)?.start == start else { return false }
        return clinux_pidfd_send_signal(process.number, signal) == 0
    }
}

private func descendants(sparing spared: Set<Int32>) -> [Relative] {
    var children: [Int32: [Relative]] = [:]
    for name in (try? namesInFolder("/proc")) ?? [] {
        if let pid = Int32(name), let process = Relative(pid) { children[process.parent, default: []].append(process) }
    }
    var result: [Relative] = []
    var pending = [getpid()]
    while let parent = pending.popLast() {
        for child in children[parent] ?? [] where !spared.contains(child.pid) {
            result.append(child)
            pending.append(child.pid)
        }
    }
    return result
}
