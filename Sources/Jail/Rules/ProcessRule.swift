import CLinux
package import Contracts

/// The command leaves other processes alone: it does not take their descriptors, or change their limits, priority or
/// processors.
///
/// The kernel would allow all of this between processes of one user. On itself (pid 0) a process may still set them;
/// with its own number it may not, because a filter cannot tell whose number that is.
///
/// Tracing and reading memory (gdb, strace, LeakSanitizer) are the kernel's to decide: Landlock keeps both within the
/// domain of the one who asks (security/landlock/task.c, hook_ptrace_access_check), so within the command; and a call that
/// a tracer has changed goes through the filter again (kernel/entry/common.c; since Linux 4.8). A process cannot close
/// itself to the broker, which reads its calls' addresses: that call does nothing and says that it was done. Who else
/// could look is kept out by the domain.
package struct ProcessRule: JailRule {
    package let name = "processes"

    /// PRIO_PROCESS and PRIO_PGRP (sys/resource.h), IOPRIO_WHO_PROCESS and IOPRIO_WHO_PGRP (linux/ioprio.h). The third
    /// kind, "all of my user's", would take in the agent.
    private static let priorityKinds: [Int32] = [0, 1]
    private static let ioKinds: [Int32] = [1, 2]

    /// PR_SET_DUMPABLE (linux/prctl.h).
    private static let setDumpable: Int32 = 4

    package init() {}

    package func extend(
        _ plan: inout JailPlan, for request: JailRequest, on kernel: Kernel
    ) throws(JailFailure) {
        for call in [CJAIL_PROCESS_MADVISE, CJAIL_KCMP, CJAIL_PIDFD_GETFD] { plan.refuse(call) }
        plan.refuse(
            CJAIL_PRCTL,
            unless: [
                CallRule.Exception(.argument(0, isNot: UInt32(Self.setDumpable))),
                CallRule.Exception(.argument(1, isNot: 0)),
            ], with: .passedOver)
        for call in [
            CJAIL_PRLIMIT64, CJAIL_SCHED_SETAFFINITY, CJAIL_SCHED_SETATTR, CJAIL_SCHED_SETPARAM,
            CJAIL_SCHED_SETSCHEDULER,
        ] {
            plan.refuse(call, unless: [CallRule.Exception(.argument(0, is: 0))])
        }
        plan.refuse(CJAIL_SETPRIORITY, unless: Self.own(Self.priorityKinds))
        plan.refuse(CJAIL_IOPRIO_SET, unless: Self.own(Self.ioKinds))
    }

    private static func own(_ kinds: [Int32]) -> [CallRule.Exception] {
        kinds.map { CallRule.Exception(.argument(0, is: $0), .argument(1, is: 0)) }
    }
}
