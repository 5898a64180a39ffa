import Glibc
import Jail
import JailConformance
import Testing

/// The contract of `JailRule`, on every registered rule, with the running kernel.
@Suite struct JailRuleConformanceTests {
    @Test(arguments: attempts.filter { !$0.needsRoot || getuid() == 0 })
    func `with its rule an attempt is refused, without that one rule it succeeds`(attempt: Attempt) throws {
        let scene = try Scene()
        let with = Result { try attempt.outcome(in: scene, rules: jailRules) }
        let others = jailRules.filter { $0.name != attempt.rule && !attempt.alsoHeldBy.contains($0.name) }
        let without = Result { try attempt.outcome(in: scene, rules: others) }
        #expect(try with.get() == .refused)
        #expect(try without.get() == .succeeded, "an attempt that fails without the rule proves nothing about it")
    }

    @Test(arguments: jailRules.map(\.name))
    func `every rule has an attempt that shows what it is for`(name: String) {
        #expect(attempts.contains { $0.rule == name })
    }

    @Test func `every attempt is about a rule that is registered, and no two rules have one name`() {
        let names = jailRules.map(\.name)
        #expect(Set(names).count == names.count)
        for attempt in attempts { #expect(names.contains(attempt.rule)) }
    }
}
