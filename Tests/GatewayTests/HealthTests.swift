import Gateway
import Synchronization
import Testing

struct HealthTests {
    private final class Time: Sendable {
        let value = Mutex<Int64>(0)
        func now() -> Int64 { value.withLock { $0 } }
        func pass(_ milliseconds: Int64) { value.withLock { $0 += milliseconds } }
    }
    private let time = Time()

    @Test func `a loop may take its time to begin, but not for ever`() {
        let health = Health(now: time.now)
        #expect(health.deathReason == nil)
        #expect(health.unreadyReason != nil)
        time.pass(Health.patience - 1)
        #expect(health.deathReason == nil)
        time.pass(1)
        #expect(health.deathReason?.contains("not begun") == true)
        health.loopIsAlive()
        #expect(health.deathReason == nil && health.unreadyReason == nil)
    }

    @Test func `a loop that gives no sign of life is dead after a minute`() {
        let health = Health(now: time.now)
        health.loopIsAlive()
        time.pass(Health.patience - 1)
        #expect(health.deathReason == nil)
        time.pass(1)
        #expect(health.deathReason?.contains("no sign of life") == true)
    }

    @Test func `it is not ready while it stops or cannot store, and that is no reason to be killed`() {
        let health = Health(now: time.now)
        health.loopIsAlive()
        health.spoolFails("disk full")
        #expect(health.unreadyReason?.contains("disk full") == true)
        health.spoolFails(nil)
        #expect(health.unreadyReason == nil)
        health.stops()
        #expect(health.unreadyReason != nil)
        #expect(health.deathReason == nil)
    }
}
