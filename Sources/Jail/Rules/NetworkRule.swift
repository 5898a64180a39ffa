import CLinux
package import Contracts
import Glibc

/// The command connects to what its policy names, listens at most on a loopback address of its own, and speaks to the
/// Unix sockets that it has made itself.
///
/// The broker decides (`Broker`): socket, connect, bind and listen wait for its answer. Landlock refuses the command
/// every TCP connection and address all the same, and has no grants: only the broker, outside of that domain, connects.
/// seccomp closes what goes round both: TCP fast open, which connects without connect(2), and a listener of the
/// command's own, which could answer in the broker's place once that has gone; what binds a socket to a device, so that it
/// no longer takes what comes to its address; and what joins a multicast group. Of netlink there is what lists interfaces,
/// addresses and routes (NETLINK_ROUTE): to change them takes CAP_NET_ADMIN, which no command has, and to send to another
/// process's netlink socket too (net/netlink/af_netlink.c, netlink_sendmsg). The sockets of datagrams cannot send
/// (`Broker.mute`).
package struct NetworkRule: JailRule {
    package let name = "network"

    /// MSG_FASTOPEN (linux/socket.h).
    private static let fastOpen: UInt32 = 0x2000_0000
    /// SO_BINDTODEVICE, SO_BINDTOIFINDEX (asm-generic/socket.h).
    private static let devices: [UInt32] = [25, 62]
    /// IP_UNBLOCK_SOURCE, IP_BLOCK_SOURCE, IP_ADD_MEMBERSHIP, IP_ADD_SOURCE_MEMBERSHIP, IP_MSFILTER, MCAST_JOIN_GROUP,
    /// MCAST_BLOCK_SOURCE, MCAST_UNBLOCK_SOURCE, MCAST_JOIN_SOURCE_GROUP, MCAST_MSFILTER (linux/in.h).
    private static let joinsV4: [UInt32] = [35, 37, 38, 39, 41, 42, 43, 44, 46, 48]
    /// IPV6_ADD_MEMBERSHIP, IPV6_JOIN_ANYCAST, and those of MCAST_ (linux/in6.h).
    private static let joinsV6: [UInt32] = [20, 27, 42, 43, 44, 46, 48]
    /// NETLINK_ROUTE (linux/netlink.h).
    private static let netlinkRoute: Int32 = 0
    /// SECCOMP_FILTER_FLAG_NEW_LISTENER (linux/seccomp.h).
    private static let newListener: UInt32 = 8

    package init() {}

    package func extend(
        _ plan: inout JailPlan, for request: JailRequest, on kernel: Kernel
    ) throws(JailFailure) {
        try kernel.requireLandlock()
        try kernel.requireNotification()
        plan.deny([.bind, .connect] as NetworkRights)
        let isOther = CallRule.Exception(.argument(0, isNot: UInt32(AF_NETLINK)))
        plan.refuse(
            CJAIL_SOCKET,
            unless: [isOther, CallRule.Exception(.argument(0, is: AF_NETLINK), .argument(2, is: Self.netlinkRoute))])
        plan.refuse(
            CJAIL_SOCKET, unless: [CallRule.Exception(.argument(0, is: AF_NETLINK))], with: .brokered)
        for call in [CJAIL_CONNECT, CJAIL_BIND, CJAIL_LISTEN] { plan.refuse(call, with: .brokered) }
        func pair(_ type: Int32) -> CallRule.Exception {
            CallRule.Exception(
                .argument(0, is: AF_UNIX), .argument(1, mask: UInt32(SocketType.mask), is: type))
        }
        let streams = [pair(SocketType.stream), pair(SocketType.packets)]
        plan.refuse(CJAIL_SOCKETPAIR, unless: streams + [pair(SocketType.datagram)])
        plan.refuse(CJAIL_SOCKETPAIR, unless: streams, with: .brokered)
        plan.refuse(CJAIL_SENDTO, unless: [CallRule.Exception(.argument(3, lacks: Self.fastOpen))])
        plan.refuse(CJAIL_SENDMSG, unless: [CallRule.Exception(.argument(2, lacks: Self.fastOpen))])
        plan.refuse(CJAIL_SENDMMSG, unless: [CallRule.Exception(.argument(3, lacks: Self.fastOpen))])
        // The socket itself cannot send: that the broker is asked only makes it work.
        for call in [CJAIL_SENDTO, CJAIL_SENDMSG, CJAIL_SENDMMSG, CJAIL_WRITE] {
            plan.refuse(call, unless: [CallRule.Exception(DatagramNumbers.lacks(argument: 0))], with: .brokered)
        }
        // Who joins a group tells the network of it (IGMP, MLD), with an address of his choice.
        for (level, options) in [
            (SOL_SOCKET, Self.devices), (Int32(IPPROTO_IP), Self.joinsV4), (Int32(IPPROTO_IPV6), Self.joinsV6),
        ] where request.network != .open {
            var others = CallRule.Exception()
            others.tests = options.map { .argument(2, isNot: $0) }
            plan.refuse(
                CJAIL_SETSOCKOPT,
                unless: [CallRule.Exception(.argument(1, isNot: UInt32(level))), others])
        }
        plan.refuse(CJAIL_SECCOMP, unless: [CallRule.Exception(.argument(1, lacks: Self.newListener))])
    }
}
