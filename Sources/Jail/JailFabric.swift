import Contracts
import LinuxSystem

/// What a jail is made of in the kernel's terms: the things of a plan that take time to make.
package struct JailFabric: ~Copyable {
    private let plan: JailPlan
    let ruleset: Ruleset
    let filter: FilterProgram
    /// Where the command's process says why it could not become the command.
    let failures: Pipe
    /// That process, if it was made ahead.
    private var child: ChildInWaiting?

    /// - Throws: `JailFailure` if a path cannot be opened, or the kernel refuses a rule.
    package init(_ plan: JailPlan) throws(JailFailure) {
        let ruleset = try Ruleset(plan)
        let filter = try FilterProgram(plan.calls)
        let failures = try Self.pipe()
        self.plan = plan
        self.ruleset = ruleset
        self.filter = filter
        self.failures = failures
    }

    private static func pipe() throws(JailFailure) -> Pipe {
        do throws(SystemError) {
            let pipe = try Pipe()
            // The janitor looks once, when the child has ended; a child that executed its program left nothing in it.
            try setNonBlocking(pipe.reader.number, true)
            return pipe
        } catch {
            throw JailFailure(.descriptors, error, "too many files are open")
        }
    }

    /// Whether one that is made of `plan` now would be the same.
    borrowing func fits(_ plan: JailPlan) -> Bool { plan == self.plan && ruleset.isCurrent(plan) }

    /// Makes the command's process ahead. Without one, for whatever reason, it is made when its command is there.
    package mutating func makeChild() {
        guard plan.needsBroker else { return }
        child = try? ChildInWaiting(
            plan, ruleset: ruleset.descriptor.number, filter: filter.instructions, failures: failures.writer.number)
    }

    mutating func takeChild() -> ChildInWaiting? { child.take() }
}
