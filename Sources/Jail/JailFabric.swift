/// What a jail is made of in the kernel's terms: the two things of a plan that take time to make.
package struct JailFabric: ~Copyable {
    private let plan: JailPlan
    let ruleset: Ruleset
    let filter: FilterProgram

    /// - Throws: `JailFailure` if a path cannot be opened, or the kernel refuses a rule.
    package init(_ plan: JailPlan) throws(JailFailure) {
        let ruleset = try Ruleset(plan)
        let filter = try FilterProgram(plan.calls)
        self.plan = plan
        self.ruleset = ruleset
        self.filter = filter
    }

    /// Whether one that is made of `plan` now would be the same.
    borrowing func fits(_ plan: JailPlan) -> Bool { plan == self.plan && ruleset.isCurrent(plan) }
}
