import Agent
import Testing

struct SnapshotScheduleTests {
    private static let minute: Int64 = 60000
    private var schedule = SnapshotSchedule(interval: minute, now: 1000)

    @Test mutating func `nothing is due before the interval is over, and one is when it is`() {
        #expect(schedule.due(seq: 1, now: 1000) == nil)
        #expect(schedule.due(seq: 1, now: 1000 + Self.minute - 1) == nil)
        #expect(schedule.due(seq: 1, now: 1000 + Self.minute) == "interval")
    }

    @Test mutating func `the interval counts from the beginning of the last one`() {
        schedule.begin(now: 50000)
        schedule.succeeded(seq: 1)
        #expect(schedule.due(seq: 2, now: 50000 + Self.minute - 1) == nil)
        #expect(schedule.due(seq: 2, now: 50000 + Self.minute) == "interval")
    }

    @Test mutating func `a journal that has not moved needs none, and one is due again when it moves`() {
        schedule.begin(now: 1000)
        schedule.succeeded(seq: 5)
        #expect(schedule.due(seq: 5, now: 2 * Self.minute) == nil)
        #expect(schedule.due(seq: 6, now: 2 * Self.minute) == "interval")
        schedule.request("phase")
        #expect(schedule.due(seq: 5, now: 2 * Self.minute) == nil)
    }

    @Test mutating func `what is asked for is due at once, and once`() {
        schedule.request("phase")
        #expect(schedule.due(seq: 1, now: 1000) == "phase")
        #expect(schedule.due(seq: 1, now: 1000) == nil)
    }

    @Test mutating func `what is asked for while one runs is due for the events that came meanwhile`() {
        schedule.begin(now: 1000)
        schedule.request("phase")
        schedule.succeeded(seq: 5)
        #expect(schedule.due(seq: 7, now: 1001) == "phase")
    }

    @Test mutating func `failures are tried again after pauses that double up to ten minutes`() {
        var now: Int64 = 1000
        var pauses: [Int64] = []
        for _ in 1...9 {
            let pause = schedule.failed(now: now)
            schedule.request("phase")
            #expect(schedule.due(seq: 9, now: now + pause - 1) == nil)
            #expect(schedule.due(seq: 9, now: now + pause) == "phase")
            pauses.append(pause / 1000)
            now += pause
        }
        #expect(pauses == [10, 20, 40, 80, 160, 320, 600, 600, 600])
    }

    @Test mutating func `a failure is tried again by itself, and forgotten when one has come about`() {
        let pause = schedule.failed(now: 1000)
        #expect(schedule.due(seq: 1, now: 1000 + pause) == "retry")
        schedule.succeeded(seq: 1)
        #expect(schedule.failures == 0)
        #expect(schedule.failed(now: 2000) == pause)
    }
}
