import Contracts
import Testing

@Suite struct StatusLineTests {
    @Test(arguments: 0..<2000 as Range<UInt64>)
    func `every status reads back from its line, which a pipe takes whole`(seed: UInt64) {
        var generator = Generator(seed: seed)
        let progress = StatusLine.Progress(
            phase: generator.key(), step: generator.number(0...Int.max), seq: generator.number(0...Int64.max),
            doing: generator.text())
        let status: StatusLine =
            switch generator.number(0...4 as ClosedRange<Int>) {
            case 0: .beat
            case 1: .progress(progress)
            case 2: .records(folder: "/" + generator.text())
            case 3: .secrets(folder: "/" + generator.text())
            default:
                .end(
                    outcome: generator.text(), exit: generator.number(0...255), reason: generator.text(),
                    progress: progress)
            }
        #expect(StatusLine(line: status.line) == status, "seed \(seed)")
        #expect(status.line.utf8.count < StatusLine.limit)
    }

    @Test(arguments: ["x", "\t", "é", "🧪", "\u{301}", "e\u{301}\u{302}\u{303}\u{304}"])
    func `a reason of any length and any characters keeps the line short enough for a pipe`(character: String) {
        let reason = String(repeating: character, count: 5000)
        let status = StatusLine.end(
            outcome: "failed", exit: 1, reason: reason,
            progress: StatusLine.Progress(phase: "STRATEGIC", step: .max, seq: .max))
        #expect(status.line.utf8.count < StatusLine.limit)
    }

    @Test(arguments: ["", "hello", "phase=TACTICAL", "phase=TACTICAL\tstep=x\tseq=1", "end\tphase=A\tstep=1\tseq=1"])
    func `a line that is none of these is not understood`(line: String) {
        #expect(StatusLine(line: line) == nil)
    }
}
