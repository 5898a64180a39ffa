package import Contracts

/// One thing that a jailed command cannot do: the seam of the jail.
///
/// To add a rule: one file in `Rules/`, one line in `jailRules`, one attempt or more in `Tests/JailConformance`.
///
/// Contract, which `JailConformance` tries on every registered rule with the real kernel:
/// - The rule does all its work in `extend`, before the command's process exists, by adding to the plan. It changes
///   nothing of its own process and keeps no state: rules may be applied in any order and more than once.
/// - It only narrows. It never takes away what another rule has put in; where two rules speak of the same thing, both
///   hold.
/// - It checks everything its promise rests on: what the kernel must have (`kernel`), and what the request names.
///   It fails closed: what it cannot enforce in full it refuses, with a `JailFailure` that names the thing and the fix.
/// - With the rule, what it forbids fails inside the jail; without it, and with all the others, the same attempt
///   succeeds. A rule that makes no difference is none.
/// - It holds for the command's whole tree, as the user of the pod and as root.
package protocol JailRule: Sendable {
    /// Unique, for reports and tests.
    var name: String { get }
    /// Adds to `plan` what the rule needs for `request`.
    func extend(_ plan: inout JailPlan, for request: JailRequest, on kernel: Kernel) throws(JailFailure)
}

/// The rules of every jail.
package let jailRules: [any JailRule] = [
    FilesRule(),
    ScopeRule(),
    NetworkRule(),
    ProcessRule(),
    NamespaceRule(),
    KernelRule(),
    SharedMemoryRule(),
    TerminalRule(),
    PrivilegeRule(),
    LimitsRule(),
]
