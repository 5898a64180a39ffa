package import Contracts
import Glibc

/// The command leaves no core dumps, opens a sane number of descriptors, and cannot fill the disk with one file.
///
/// No limit on processes: RLIMIT_NPROC counts all of the user's tasks on the node, other pods' too. None on memory: a
/// limit on data segments that node can run under stops a large Python program.
package struct LimitsRule: JailRule {
    package let name = "limits"

    /// 4096 is enough for any build, and programs that close "all descriptors" one by one stay quick; one that knows
    /// it needs more can raise its soft limit.
    private static let descriptors: (soft: UInt64, hard: UInt64) = (4096, 65536)
    /// 16 GiB a file. Reaching it is SIGXFSZ, by name in the report.
    package static let fileSize: UInt64 = 16 << 30

    package init() {}

    package func extend(
        _ plan: inout JailPlan, for request: JailRequest, on kernel: Kernel
    ) throws(JailFailure) {
        plan.limit(Int32(RLIMIT_CORE.rawValue), soft: 0, hard: 0)
        plan.limit(Int32(RLIMIT_NOFILE.rawValue), soft: Self.descriptors.soft, hard: Self.descriptors.hard)
        plan.limit(Int32(RLIMIT_FSIZE.rawValue), soft: Self.fileSize, hard: Self.fileSize)
    }
}
