import Supervisor
import Testing

struct HeartbeatTests {
    @Test func `a child is late when it was silent for longer than the limit`() {
        let heartbeat = Heartbeat(at: 1000)
        #expect(!heartbeat.isLate(at: 121_000, limit: 120_000))
        #expect(heartbeat.isLate(at: 121_001, limit: 120_000))
    }

    @Test func `time in which PID 1 itself was frozen does not count`() {
        var heartbeat = Heartbeat(at: 1000)
        heartbeat.forgive(50_000)
        #expect(!heartbeat.isLate(at: 171_000, limit: 120_000))
        #expect(heartbeat.isLate(at: 171_001, limit: 120_000))
    }
}
