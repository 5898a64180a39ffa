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

/// The processes that are left when the main one has ended: SIGTERM, time to clean up, SIGKILL.
struct Leftovers {
    let signals: SignalSource
    /// The signal to pass on for one that has come meanwhile; nil if it is not for them.
    let passedOn: (ReceivedSignal) -> Int32?

    /// Ends them all.
    ///
    /// Returns when no child is left, at the latest one second after the deadline.
    func end(by deadline: Deadline) {
        while !reapEnded().isEmpty {}
        guard clinux_has_children() == 1 else { return }
        logLine("SIGTERM to what is left\(names); SIGKILL in \(deadline.remaining) ms")
        if wait(until: deadline, sending: SIGTERM, every: .max) { return }
        let count = running().count
        logLine("SIGKILL to \(count) processes that did not end\(names)")
        // Again and again: as a subreaper we may see a child of a killed process only once it has become ours.
        if !wait(until: .after(milliseconds: 1000), sending: SIGKILL, every: 50) {
            logLine("some processes did not end even after SIGKILL; leaving them to the kernel")
        }
    }

    /// Sends `number` to what is left, at once and `every` so many milliseconds, passes signals on, and reaps.
    ///
    /// - Returns: true when no child is left, false at the deadline.
    private func wait(until deadline: Deadline, sending number: Int32, every: Int64) -> Bool {
        var sendAt = Clock.monotonic
        while !deadline.hasPassed {
            if Clock.monotonic >= sendAt {
                signalAll(number)
                sendAt = every == .max ? .max : Clock.monotonic + every
            }
            while !reapEnded().isEmpty {}
            if clinux_has_children() == 0 { return true }
            _ = try? waitReadable([signals.descriptor], until: deadline.sooner(.after(milliseconds: 50)))
            for signal in signals.take() {
                guard let other = passedOn(signal) else { continue }
                signalAll(other)
                guard signal.number == SIGTERM else { continue }
                logLine("SIGTERM: passed on to what is left\(names); SIGKILL in \(deadline.remaining) ms")
            }
        }
        return false
    }

    /// The first of them by pid and name, in words; empty without /proc.
    private var names: String {
        let names = running().map { "\($0.pid) (\($0.name))" }
        return names.isEmpty ? "" : ": \(names.prefix(16).joined(separator: ", "))"
    }

    private func running() -> [ProcessEntry] { everybody().filter { !$0.isZombie } }

    /// What is below us; empty without /proc.
    private func everybody() -> [ProcessEntry] {
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
        for entry in running() {
            let handle = clinux_pidfd_open(entry.pid)
            if handle >= 0 {
                let pinned = Descriptor(adopting: handle)
                // The pid may have been reused since the table was read; with a pidfd open it no longer can be. Its parent
                // tells nothing: it may have ended of the signal before this one.
                guard ProcessEntry(pid: entry.pid)?.start == entry.start else { continue }
                _ = clinux_pidfd_send_signal(pinned.number, number)
            }
        }
    }
}
