import CLinux
package import Contracts
import Glibc

/// The command speaks TCP to the proxy's port, if there is one, and nothing else to no one.
///
/// Landlock decides about ports; seccomp closes what goes round it: other families and protocols (UDP, raw, packet,
/// netlink, vsock; MPTCP and SMC, which Landlock does not take for TCP) and TCP fast open, which connects without
/// connect(2). Unix sockets stay: half of all tools use them with their own children.
///
/// Not closed: the port means that port on any host; listen(2) without bind(2) takes a port that Landlock is not asked
/// about; a Unix socket with a path can be connected to wherever its mode allows (until ABI 9).
package struct NetworkRule: JailRule {
    package let name = "network"

    /// MSG_FASTOPEN (linux/socket.h).
    private static let fastOpen: UInt32 = 0x2000_0000
    /// The type without SOCK_NONBLOCK and SOCK_CLOEXEC: SOCK_TYPE_MASK (linux/net.h), and SOCK_STREAM.
    private static let typeMask: UInt32 = 0xf
    private static let stream: Int32 = 1
    private static let tcp: Int32 = 6

    package init() {}

    package func extend(
        _ plan: inout JailPlan, for request: JailRequest, on kernel: Kernel
    ) throws(JailFailure) {
        try kernel.requireLandlock()
        plan.deny([.bind, .connect] as NetworkRights)
        if let port = request.proxyPort { plan.grant([.connect] as NetworkRights, port: port) }

        var sockets = [CallRule.Exception(.argument(0, is: AF_UNIX))]
        for family in [AF_INET, AF_INET6] {
            for protocolNumber in [0, Self.tcp] {
                sockets.append(
                    CallRule.Exception(
                        .argument(0, is: family), .argument(1, mask: Self.typeMask, is: Self.stream),
                        .argument(2, is: protocolNumber)))
            }
        }
        plan.refuse(CJAIL_SOCKET, unless: sockets)
        plan.refuse(CJAIL_SOCKETPAIR, unless: [CallRule.Exception(.argument(0, is: AF_UNIX))])
        plan.refuse(CJAIL_SENDTO, unless: [CallRule.Exception(.argument(3, lacks: Self.fastOpen))])
        plan.refuse(CJAIL_SENDMSG, unless: [CallRule.Exception(.argument(2, lacks: Self.fastOpen))])
        plan.refuse(CJAIL_SENDMMSG, unless: [CallRule.Exception(.argument(3, lacks: Self.fastOpen))])
    }
}
