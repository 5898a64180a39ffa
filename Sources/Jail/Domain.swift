import CLinux
import Contracts
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
    /// The proof is made on our parent, or, where we have no right to signal that, on a process of our own: it could be
    /// signalled before, and cannot be from within.
    /// - Throws: `JailFailure` if the kernel refuses, or says yes and does not do it.
    init() throws(JailFailure) {
        // Once a layer handles files, the kernel takes moving between folders for closed in every layer that does not grant
        // it (security/landlock, "refer"): so this one handles it, and grants it everywhere. The command's own decides.
        var scopes = JailPlan()
        scopes.scope([.signals, .abstractSockets])
        scopes.deny(.refer)
        scopes.grant(.refer, beneath: "/", isOptional: true)
        let ruleset = try Ruleset(scopes)
        let parent = getppid()
        // 0 is a parent outside of our PID namespace, and no process to kill(2).
        if parent > 0, kill(parent, 0) == 0 {
            try Self.enter(ruleset)
            let isRefused = Self.isOutOfReach(parent)
            // One that has ended meanwhile proves nothing: then the domain gets a second one within.
            if getppid() == parent {
                try Self.require(isRefused)
                return
            }
        }
        var release: Int32 = -1
        let witness = cjail_witness(&release)
        guard witness > 0 else {
            throw JailFailure(
                .fork, SystemError("fork", code: -witness),
                "the pod's or the node's limit of processes is reached (pids cgroup, ulimit -u)")
        }
        // Closing lets the witness end; the janitor reaps it with the rest.
        let hold = Descriptor(adopting: release)
        defer { _ = hold.number }

        guard kill(witness, 0) == 0 else {
            throw JailFailure(
                .proof, SystemError.last("kill"), "a process of our own cannot be signalled; please report this")
        }
        try Self.enter(ruleset)
        try Self.require(Self.isOutOfReach(witness))
    }

    private static func isOutOfReach(_ process: Int32) -> Bool { kill(process, 0) == -1 && errno == EPERM }

    private static func enter(_ ruleset: borrowing Ruleset) throws(JailFailure) {
        let result = cjail_landlock_enter(ruleset.descriptor.number)
        guard result == 0 else {
            throw JailFailure(
                .landlock, SystemError("landlock_restrict_self", code: -result),
                "at most 16 domains lie within each other; the container's seccomp profile must allow landlock_*")
        }
    }

    private static func require(_ holds: Bool) throws(JailFailure) {
        if holds { return }
        throw JailFailure(
            .proof,
            "a process outside can still be signalled from within the Landlock domain: this kernel or a filter"
                + " pretends to have signal scopes; nothing was started")
    }

    /// Sends a signal to every process of the domain but the janitor.
    ///
    /// It says nothing about success: kill(-1) returns 0 even if every single one was refused (kernel/signal.c).
    borrowing func signalAll(_ signal: Int32) { _ = kill(-1, signal) }
}
