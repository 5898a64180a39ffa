import CLinux
import Glibc
import LinuxSystem

/// The janitor's own Landlock domain, from which a signal reaches only the janitor's descendants.
///
/// This is `cgroup.kill` without cgroups: from within a domain that scopes signals, `kill(-1)` reaches only processes of
/// the same domain or of one beneath it, and those are exactly the command and all that it started, however often it
/// has forked, called setsid or lost its parent. Outside such a domain the same call would end every process of the
/// user, the agent's own; as root, the machine. Hence `signalAll` is a method of a value that only a proof can make.
struct Domain: ~Copyable {
    /// Enters the domain and proves that it holds. For the calling process there is no way back.
    ///
    /// The proof is made on a process outside, the parent or one that is made for it: it could be signalled before, and
    /// cannot be from within.
    /// - Throws: `JailFailure` if the kernel refuses, or says yes and does not do it.
    init() throws(JailFailure) {
        let ruleset = try Ruleset(scopes: [.signals, .abstractSockets])
        let witness = try Witness()
        guard kill(witness.pid, 0) == 0 else {
            throw JailFailure(
                .proof, SystemError.last("kill"), "a process of our own cannot be signalled; please report this")
        }
        let result = cjail_landlock_enter(ruleset.descriptor.number)
        guard result == 0 else {
            throw JailFailure(
                .landlock, SystemError("landlock_restrict_self", code: -result),
                "at most 16 domains lie within each other; the container's seccomp profile must allow landlock_*")
        }
        guard kill(witness.pid, 0) == -1, errno == EPERM else {
            throw JailFailure(
                .proof,
                "a process outside can still be signalled from within the Landlock domain: this kernel or a filter"
                    + " pretends to have signal scopes, or who started agent-jail has ended; nothing was started")
        }
    }

    /// Sends a signal to every process of the domain but the janitor.
    ///
    /// It says nothing about success: kill(-1) returns 0 even if every single one was refused (kernel/signal.c).
    borrowing func signalAll(_ signal: Int32) { _ = kill(-1, signal) }
}

/// A process outside the domain, of the same user: the proof is made on it.
private struct Witness: ~Copyable {
    let pid: Int32
    /// Closing it lets a witness of our own end; the janitor reaps it with the rest. -1 for the parent.
    private let hold: Descriptor

    /// The parent, if it can be signalled (a fork takes 0.2 ms); otherwise a child that waits.
    init() throws(JailFailure) {
        let parent = getppid()
        // 0: the parent is outside of this PID namespace, and kill(0) would be our own process group.
        if parent > 0, kill(parent, 0) == 0 {
            pid = parent
            hold = Descriptor(adopting: -1)
            return
        }
        var release: Int32 = -1
        pid = cjail_witness(&release)
        hold = Descriptor(adopting: release)
        guard pid > 0 else {
            throw JailFailure(
                .fork, SystemError("fork", code: -pid),
                "the pod's or the node's limit of processes is reached (pids cgroup, ulimit -u)")
        }
    }
}
