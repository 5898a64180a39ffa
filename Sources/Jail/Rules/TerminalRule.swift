import CLinux
package import Contracts

/// The command types nothing into a terminal: what it pushed back would be run by the shell that has it afterwards.
package struct TerminalRule: JailRule {
    package let name = "terminal"

    /// asm-generic/ioctls.h, the same on both architectures. TIOCLINUX pastes the console's selection.
    private static let pushInput: UInt32 = 0x5412
    private static let console: UInt32 = 0x541c

    package init() {}

    package func extend(
        _ plan: inout JailPlan, for request: JailRequest, on kernel: Kernel
    ) throws(JailFailure) {
        plan.refuse(
            CJAIL_IOCTL,
            unless: [
                CallRule.Exception(.argument(1, isNot: Self.pushInput), .argument(1, isNot: Self.console))
            ])
    }
}
