import Contracts
import Testing

struct EndLineTests {
    @Test func `an end is one line, whatever its reason holds`() {
        let line = EndLine.text(outcome: "not_permitted", exit: 77, reason: "no jail:\n  why\n")
        #expect(line == "agent-init: not_permitted (exit 77): no jail:   why")
        #expect(EndLine.isOne(line))
    }

    @Test(arguments: [
        "agent-init: the checkpoint was repaired", "agent-init: warning (exits: 3): x", "not_permitted (exit 77): x",
        "",
        "agent-init: failed (exit x): y", "agent-init: failed (exit 1)",
    ])
    func `another line of the loop is none`(line: String) { #expect(!EndLine.isOne(line)) }
}
