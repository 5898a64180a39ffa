import CLinux
import Contracts
import Glibc

/// What the running kernel, as this container lets us see it, offers the jail.
package struct Kernel: Equatable, Sendable {
    /// The ABI of Landlock, or -errno of asking for it.
    package let landlock: Int32

    /// 0 if a filter can hand calls to another process (SECCOMP_RET_USER_NOTIF), or -errno of asking for it.
    package let notification: Int32

    package init(landlock: Int32, notification: Int32 = 0) {
        self.landlock = landlock
        self.notification = notification
    }

    package static func probe() -> Kernel {
        Kernel(landlock: cjail_landlock_abi(), notification: cbroker_is_available())
    }

    /// - Throws: `JailFailure` if there can be no connect broker. Linux has had all of it since 5.14.
    package func requireNotification() throws(JailFailure) {
        if notification == 0 { return }
        throw JailFailure(
            .kernel, code: -notification,
            "seccomp's user notification is missing (errno \(-notification)), and without it nothing can decide where a"
                + " command connects to: let the container's seccomp profile allow seccomp(2), as RuntimeDefault does;"
                + " gVisor has none: use a node and a runtime class with it")
    }

    /// The ABI that brought scoped signals (Linux 6.12). Without them a jailed command could signal the agent, and the
    /// janitor could not signal its tree alone.
    package static let neededLandlock: Int32 = 6

    /// - Throws: `JailFailure` if Landlock is missing, hidden, switched off or too old.
    package func requireLandlock() throws(JailFailure) {
        if landlock >= Self.neededLandlock { return }
        let wanted = "the jail needs Landlock ABI \(Self.neededLandlock) (Linux 6.12 or newer)"
        switch landlock {
        case -ENOSYS:
            throw JailFailure(
                .kernel, code: ENOSYS,
                "this kernel has no Landlock: \(wanted); gVisor has none: use a node and a runtime class with it")
        case -EOPNOTSUPP:
            throw JailFailure(
                .kernel, code: EOPNOTSUPP,
                "Landlock is not enabled on this node: add \"landlock\" to lsm= on the kernel's command line; \(wanted)"
            )
        case ..<0:
            throw JailFailure(
                .kernel, code: -landlock,
                "landlock_create_ruleset is refused (errno \(-landlock)): let the container's seccomp profile allow"
                    + " landlock_*, as RuntimeDefault does; \(wanted)")
        default:
            throw JailFailure(
                .kernel, "Landlock ABI \(landlock) has no signal scopes: \(wanted); use a node with a newer kernel")
        }
    }
}
