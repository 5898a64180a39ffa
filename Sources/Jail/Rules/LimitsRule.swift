package import Contracts
import Glibc

/// The command leaves no core dumps, opens a sane number of descriptors, and cannot fill the disk with one file.
///
/// No limit on processes: RLIMIT_NPROC counts all of the user's tasks on the node, other pods' too. None on memory:
/// RLIMIT_DATA and RLIMIT_AS count what is mapped, not what is used, so that sanitizers and race detectors, which map
/// terabytes, would not start, while ten processes below the limit still fill the pod. Memory is the guard's
/// (`ResourceGuard`).
package struct LimitsRule: JailRule {
    package let name = "limits"

    /// 4096, the default of the soft limit, is enough for any build, and programs that close "all descriptors" one by one
    /// stay quick; one that knows it needs more can raise it up to this.
    private static let mostDescriptors: UInt64 = 65536

    package init() {}

    package func extend(
        _ plan: inout JailPlan, for request: JailRequest, on kernel: Kernel
    ) throws(JailFailure) {
        plan.limit(Int32(RLIMIT_CORE.rawValue), soft: 0, hard: 0)
        plan.limit(Int32(RLIMIT_NOFILE.rawValue), soft: UInt64(request.limits.openFiles), hard: Self.mostDescriptors)
        let fileSize = UInt64(request.limits.fileSize) << 20
        plan.limit(Int32(RLIMIT_FSIZE.rawValue), soft: fileSize, hard: fileSize)
    }
}
