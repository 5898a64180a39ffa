import Contracts
import LinuxSystem
import Supervisor
import Testing

struct VerdictTests {
    private func farewell(_ code: Int32, _ outcome: String) -> StatusLine {
        .end(
            outcome: outcome, exit: code, reason: "because",
            progress: StatusLine.Progress(phase: "VERIFY", step: 1, seq: 2))
    }

    @Test(arguments: ExitCode.allCases.filter(\.isFinal))
    func `a final code with fitting last words is the verdict`(code: ExitCode) {
        let verdict = Verdict(loopEnded: .exited(code.rawValue), farewell: farewell(code.rawValue, "word"))
        #expect(verdict == Verdict(code: code.rawValue, outcome: "word", reason: "because"))
    }

    @Test func `last words that do not fit the code are not believed`() {
        let verdict = Verdict(loopEnded: .exited(1), farewell: farewell(0, "completed"))
        #expect(verdict?.code == 1)
        #expect(verdict?.outcome == "failed")
    }

    @Test(arguments: [.exited(70), .exited(2), .exited(255), .signaled(9), .signaled(15)] as [ProcessEnd])
    func `every other end is none`(end: ProcessEnd) {
        #expect(Verdict(loopEnded: end, farewell: farewell(0, "completed")) == nil)
    }

    @Test(arguments: [.exited(70), .exited(2), .signaled(9), .signaled(15)] as [ProcessEnd])
    func `a loop that was told to stop and did not decide is stopped, never done`(end: ProcessEnd) {
        let verdict = Verdict(stoppedLoop: end, farewell: farewell(0, "completed"))
        #expect(verdict.code == 143)
        #expect(verdict.outcome == "stopped")
        #expect(verdict.reason.contains(describe(end)))
    }

    @Test func `a loop that was told to stop and decided is believed`() {
        #expect(Verdict(stoppedLoop: .exited(0), farewell: farewell(0, "completed")).code == 0)
        #expect(Verdict(stoppedLoop: .exited(143), farewell: farewell(143, "stopped")).reason == "because")
    }
}
