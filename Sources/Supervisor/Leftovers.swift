import CLinux
import Glibc
import LinuxSystem

/// Reaps children that have ended, at most `limit` so that a storm of orphans cannot keep us from everything else.
///
/// - Returns: those reaped; there may be more if they are `limit` many.
func reapEnded(limit: Int = 512) -> [Reaped] {
    var result: [Reaped] = []
    while result.count < limit, let ended = reap() { result.append(ended) }
    return result
}

/// Whether this process is PID 1 of its pid namespace.
var isInit: Bool { getpid() == 1 }

/// Ends all processes that are left when the main one has ended: SIGTERM, time to clean up, SIGKILL.
///
/// Returns when no child is left, at the latest one second after `limit` milliseconds.
func endLeftovers(limit: Int64, signals: SignalSource) {
    guard clinux_has_children() == 1 else { return }
    logLine("SIGTERM to the processes that are left; SIGKILL in \(limit) ms")
    if waitForNone(until: .after(milliseconds: limit), signals: signals, sending: SIGTERM, every: .max) { return }
    let names = runningProcesses().filter { !$0.isZombie }.map { "\($0.pid) (\($0.name))" }
    logLine("SIGKILL to \(names.count) processes that did not end: \(names.prefix(16).joined(separator: ", "))")
    // Again and again: as a subreaper we may see a child of a killed process only once it has become ours.
    if !waitForNone(until: .after(milliseconds: 1000), signals: signals, sending: SIGKILL, every: 50) {
        logLine("some processes did not end even after SIGKILL; leaving them to the kernel")
    }
}

/// Sends `number` to what is left, at once and `every` so many milliseconds, and reaps.
///
/// - Returns: true when no child is left, false at the deadline.
private func waitForNone(until deadline: Deadline, signals: SignalSource, sending number: Int32, every: Int64) -> Bool {
    var sendAt = Clock.monotonic
    while !deadline.hasPassed {
        if Clock.monotonic >= sendAt {
            signalAll(number)
            sendAt = every == .max ? .max : Clock.monotonic + every
        }
        while !reapEnded().isEmpty {}
        if clinux_has_children() == 0 { return true }
        _ = try? waitReadable([signals.descriptor], until: deadline.sooner(.after(milliseconds: 50)))
        // A further SIGTERM changes nothing: we are ending already.
        _ = signals.take()
    }
    return false
}

/// What still runs below us; empty without /proc.
private func runningProcesses() -> [ProcessEntry] {
    guard let all = try? ProcessEntry.all() else { return [] }
    return isInit ? all.filter { $0.pid != 1 } : descendants(of: getpid(), in: all)
}

/// Sends a signal to every process in our pid namespace if we are its PID 1, else to our descendants.
private func signalAll(_ number: Int32) {
    if isInit {
        // All processes but ourselves (kill(2)). Only ever as PID 1: on a host it would end the user's whole session.
        _ = kill(-1, number)
        return
    }
    for entry in runningProcesses() where !entry.isZombie {
        let handle = clinux_pidfd_open(entry.pid)
        if handle >= 0 {
            let pinned = Descriptor(adopting: handle)
            // The pid may have been reused since the table was read; with a pidfd open it no longer can be.
            guard ProcessEntry(pid: entry.pid)?.parent == entry.parent else { continue }
            _ = clinux_pidfd_send_signal(pinned.number, number)
        }
    }
}
