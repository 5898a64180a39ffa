package import Contracts

/// The command signals, and connects by abstract socket to, only its own tree.
///
/// By Landlock's scopes (ABI 6), which hold for root too and for every way to send a signal: kill, tgkill, sigqueue,
/// pidfd_send_signal, and fcntl(F_SETOWN).
package struct ScopeRule: JailRule {
    package let name = "scope"

    package init() {}

    package func extend(
        _ plan: inout JailPlan, for request: JailRequest, on kernel: Kernel
    ) throws(JailFailure) {
        try kernel.requireLandlock()
        plan.scope([.signals, .abstractSockets])
    }
}
