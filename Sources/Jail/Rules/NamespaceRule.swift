import CLinux
package import Contracts

/// The command stays in the namespaces and under the mounts it was started in.
///
/// Landlock already refuses to change mounts; but in a new user namespace a process has every capability, and with it
/// the parts of the kernel where most ways out have been found.
package struct NamespaceRule: JailRule {
    package let name = "namespaces"

    /// CLONE_NEWTIME (unshare only: in clone these bits are the exit signal), and CLONE_NEW* for mount, cgroup, uts,
    /// ipc, user, pid and net (linux/sched.h).
    private static let newTime: UInt32 = 0x80
    private static let newNamespaces: UInt32 = 0x7e02_0000

    package init() {}

    package func extend(
        _ plan: inout JailPlan, for request: JailRequest, on kernel: Kernel
    ) throws(JailFailure) {
        for call in [
            CJAIL_SETNS, CJAIL_MOUNT, CJAIL_UMOUNT2, CJAIL_PIVOT_ROOT, CJAIL_CHROOT, CJAIL_MOVE_MOUNT,
            CJAIL_OPEN_TREE, CJAIL_OPEN_TREE_ATTR, CJAIL_FSOPEN, CJAIL_FSCONFIG, CJAIL_FSMOUNT, CJAIL_FSPICK,
            CJAIL_MOUNT_SETATTR,
        ] {
            plan.refuse(call)
        }
        plan.refuse(CJAIL_CLONE, unless: [CallRule.Exception(.argument(0, lacks: Self.newNamespaces))])
        plan.refuse(
            CJAIL_UNSHARE, unless: [CallRule.Exception(.argument(0, lacks: Self.newNamespaces | Self.newTime))])
        // Its flags are in memory, which a filter cannot see. glibc falls back to clone on ENOSYS, and only on that.
        plan.refuse(CJAIL_CLONE3, with: .notImplemented)
    }
}
