package import Contracts

/// The command has no capability, even in a pod that runs as root.
///
/// It would otherwise get round the other rules: since Linux 6.16 CAP_PERFMON alone opens /proc/<pid>/environ and maps
/// of every process, past Landlock (kernel/fork.c, may_access_mm); CAP_SYS_RESOURCE lifts limits; CAP_CHOWN and
/// CAP_FOWNER reach files that Landlock has no hook for. That nothing is gained later — setuid programs, file
/// capabilities — is what no_new_privs is for, which every child has.
package struct PrivilegeRule: JailRule {
    package let name = "privileges"

    package init() {}

    package func extend(
        _ plan: inout JailPlan, for request: JailRequest, on kernel: Kernel
    ) throws(JailFailure) {
        plan.dropCapabilities()
    }
}
