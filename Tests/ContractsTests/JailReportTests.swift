import Contracts
import Testing

@Suite struct JailReportTests {
    @Test(arguments: 0..<2000 as Range<UInt64>)
    func `every report reads back from its line`(seed: UInt64) {
        var generator = Generator(seed: seed)
        let end: JailReport.End =
            switch generator.number(0...6 as ClosedRange<Int>) {
            case 0: .exited(generator.number(0...255))
            case 1: .signaled(generator.number(1...64))
            case 2: .timedOut
            case 3: .cancelled
            case 4: .exhausted(generator.bool() ? .memory : .disk, message: generator.text())
            case 5: .lost(errno: generator.number(0...133), message: generator.text())
            default:
                .notStarted(
                    JailStage.allCases[generator.number(0...JailStage.allCases.count - 1)],
                    errno: generator.number(0...133), message: generator.text())
            }
        let report = JailReport(
            end: end, killed: generator.number(0...Int.max), wall: generator.number(0...Int64.max),
            user: generator.number(0...Int64.max), system: generator.number(0...Int64.max),
            maximumResident: generator.number(0...Int64.max))
        #expect(JailReport(line: report.line) == report, "seed \(seed)")
    }

    @Test(arguments: ["", "killed=3", "exited", "exited=x", "signaled=", "hello"])
    func `a line that names no end is no report`(line: String) {
        #expect(JailReport(line: line) == nil)
    }
}
