import Sinks
import Testing

struct SteppedClockTests {
    /// Whether the clock is found set back at each of these pairs of wall and steady time after the first.
    private func verdicts(_ looks: [(wall: Int64, steady: Int64)]) -> [Bool] {
        var clock = SteppedClock(wall: looks[0].wall, steady: looks[0].steady)
        return looks.dropFirst().map { clock.wasSetBack(wall: $0.wall, steady: $0.steady) }
    }

    @Test func `a clock that goes as time does was not set`() {
        #expect(verdicts([(5000, 0), (5500, 500), (86_405_000, 86_400_000)]) == [false, false])
    }

    @Test func `a clock that is set back is found once, one that is set forward is not`() {
        let day: Int64 = 86_400_000
        #expect(
            verdicts([(day, 0), (day + 500, 500), (1000, 1000), (1500, 1500), (day + 2000, 2000), (day + 2500, 2500)])
                == [false, true, false, false, false])
    }

    @Test func `a second is not worth a connection`() {
        #expect(verdicts([(10_000, 0), (9000, 0), (7999, 0)]) == [false, true])
    }
}
