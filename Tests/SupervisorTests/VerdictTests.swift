import Contracts
import LinuxSystem
import Supervisor
import Testing

struct VerdictTests {
    private func farewell(_ code: Int32, _ outcome: String, reason: String = "because") -> StatusLine {
        .end(
            outcome: outcome, exit: code, reason: reason,
            progress: StatusLine.Progress(phase: "VERIFY", step: 1, seq: 2))
    }

    private func verdict(_ end: ProcessEnd, _ farewell: StatusLine?, lastLine: String = "") -> Verdict? {
        Verdict(loopEnded: end, farewell: farewell, lastLine: lastLine)
    }

    @Test(arguments: ExitCode.allCases.filter { $0.isFinal && $0 != .completed })
    func `a final code with fitting last words is the verdict`(code: ExitCode) {
        let expected = Verdict(code: code.rawValue, outcome: "word", reason: "because")
        #expect(verdict(.exited(code.rawValue), farewell(code.rawValue, "word")) == expected)
    }

    @Test func `0 is the verdict of a loop that says it is completed and why, and of no other`() {
        let expected = Verdict(code: 0, outcome: "completed", reason: "because")
        #expect(verdict(.exited(0), farewell(0, "completed")) == expected)
        for said in [
            nil, farewell(0, "failed"), farewell(0, ""), farewell(0, "completed", reason: ""), farewell(1, "completed"),
            .beat, .progress(StatusLine.Progress(phase: "completed", step: 1, seq: 2)),
        ] as [StatusLine?] {
            #expect(verdict(.exited(0), said) == nil)
            #expect(Verdict(stoppedLoop: .exited(0), farewell: said, lastLine: "").code == 143)
        }
    }

    @Test func `last words that do not fit the code are not believed`() {
        for said in [farewell(0, "completed"), farewell(1, "completed")] {
            let verdict = verdict(.exited(1), said)
            #expect(verdict?.code == 1)
            #expect(verdict?.outcome == "failed")
        }
    }

    @Test func `a final code without a word has the last line that was written as its reason`() {
        let verdict = verdict(.exited(75), nil, lastLine: "no disk")
        #expect(verdict?.outcome == "try_again")
        #expect(verdict?.reason == "the loop exited with 75 and sent no reason; the last it wrote: no disk")
    }

    @Test(arguments: [.exited(70), .exited(2), .exited(255), .signaled(9), .signaled(15)] as [ProcessEnd])
    func `every other end is none`(end: ProcessEnd) {
        #expect(verdict(end, farewell(0, "completed")) == nil)
    }

    @Test(arguments: [.exited(70), .exited(2), .signaled(9), .signaled(15)] as [ProcessEnd])
    func `a loop that was told to stop and did not decide is stopped, never done`(end: ProcessEnd) {
        let verdict = Verdict(stoppedLoop: end, farewell: farewell(0, "completed"), lastLine: "")
        #expect(verdict.code == 143)
        #expect(verdict.outcome == "stopped")
        #expect(verdict.reason.contains(describe(end)))
    }

    @Test func `a loop that was told to stop and decided is believed`() {
        #expect(Verdict(stoppedLoop: .exited(0), farewell: farewell(0, "completed"), lastLine: "").code == 0)
        let saved = Verdict(stoppedLoop: .exited(143), farewell: farewell(143, "stopped"), lastLine: "")
        #expect(saved.reason == "because")
    }

    @Test func `a gateway that refuses its settings ends the run with its own reason, unwrapped`() {
        let refused = Verdict(gatewayEnded: .exited(78), farewell: farewell(78, "gateway"), lastLine: "x")
        #expect(refused == Verdict(code: 78, outcome: "configuration", reason: "because"))
        let silent = Verdict(gatewayEnded: .exited(77), farewell: nil, lastLine: "no key")
        #expect(silent?.reason == "the gateway exited with 77 and sent no reason; the last it wrote: no key")
        for end in [.exited(0), .exited(75), .exited(70), .signaled(15)] as [ProcessEnd] {
            #expect(Verdict(gatewayEnded: end, farewell: nil, lastLine: "") == nil)
        }
    }

    @Test func `only the loader's code is a program that cannot be loaded`() {
        #expect(Verdict(unloadable: .exited(127), lastLine: "no libx")?.reason == "agentd cannot be loaded: no libx")
        #expect(Verdict(unloadable: .exited(127), lastLine: "")?.code == 70)
        #expect(Verdict(unloadable: .exited(126), lastLine: "no libx") == nil)
        #expect(Verdict(unloadable: .signaled(9), lastLine: "no libx") == nil)
    }
}
