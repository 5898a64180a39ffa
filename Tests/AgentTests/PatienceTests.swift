import Agent
import AgentFixtures
import Events
import Testing

/// How long a refused key is tried.
struct KeyPatienceTests {
    /// The moments of all tries of one key, from 0.
    private func tries(random: Double) -> [Int64] {
        var patience = KeyPatience()
        var moments: [Int64] = []
        var now: Int64 = 0
        repeat {
            moments.append(now)
            guard let pause = patience.refused(random: random, now: now) else { break }
            now += pause
        } while moments.count < 1000
        return moments
    }

    @Test(arguments: [0, 0.5, 1]) func `the same key is tried for 90 s and no longer, at most twenty times`(
        random: Double
    ) {
        let moments = tries(random: random)
        #expect(moments.last == 90_000)
        #expect(moments.count <= 20)
        for (earlier, later) in zip(moments, moments.dropFirst()) { #expect(later - earlier <= 10_000) }
    }

    @Test func `another key is sent at once, and has its own time`() {
        var patience = KeyPatience()
        _ = patience.refused(random: 1, now: 0)
        #expect(patience.isWaiting)
        #expect(patience.refused(hasOther: true, random: 1, now: 89_000) == 0)
        patience.changed()
        #expect(patience.refused(random: 1, now: 89_000) == 10_000)
        #expect(patience.refused(random: 1, now: 178_000) == 1000)
        #expect(patience.refused(random: 1, now: 179_000) == nil)
    }

    @Test func `a key that is not allowed what is asked is not waited for, another one is sent`() {
        var patience = KeyPatience()
        #expect(patience.refused(hasOther: true, isForbidden: true, random: 1, now: 0) == 0)
        patience.changed()
        #expect(patience.refused(isForbidden: true, random: 1, now: 0) == nil)
    }

    @Test func `a key that changes with each try does not go on for ever`() {
        var patience = KeyPatience()
        var now: Int64 = 0
        var count = 0
        while let pause = patience.refused(hasOther: true, random: 1, now: now), count < 1000 {
            count += 1
            now += pause + 1
            patience.changed()
        }
        #expect(count < 50)
    }

    @Test func `a key that was accepted has its time again`() {
        var patience = KeyPatience()
        _ = patience.refused(random: 1, now: 0)
        patience.accepted()
        #expect(!patience.isWaiting)
        #expect(patience.refused(random: 1, now: 500_000) == 10_000)
    }
}

/// How long a process waits for the LLM.
struct LLMPatienceTests {
    private let busy = LLMError(.overloaded, "busy")
    private let refused = LLMError(.authentication, "invalid key")

    @Test func `an outage counts from its beginning, not from the process'`() {
        var patience = LLMPatience(left: 0, now: 0)
        let day: Int64 = 86_400_000
        _ = patience.failed(busy, failures: 1, hasOtherKey: false, random: 1, now: day)
        #expect(!patience.isExhausted(outage: 300_000))
        #expect(patience.remaining(now: day) == 1000)
        _ = patience.failed(busy, failures: 5, hasOtherKey: false, random: 1, now: day + 290_000)
        #expect(patience.isExhausted(outage: 300_000))
        patience.answered()
        _ = patience.failed(busy, failures: 1, hasOtherKey: false, random: 1, now: day + 300_000)
        #expect(!patience.isExhausted(outage: 300_000))
    }

    @Test func `a wait of an earlier process counts as an outage`() {
        #expect(LLMPatience(left: 300_001, now: 0).isExhausted(outage: 300_000))
        #expect(!LLMPatience(left: 300_000, now: 0).isExhausted(outage: 300_000))
        #expect(!LLMPatience(left: 0, now: 0).isExhausted(outage: 0))
    }

    @Test func `a key that is waited for is no outage, and uses none of its time up`() {
        var patience = LLMPatience(left: 0, now: 0)
        var now: Int64 = 0
        while let pause = patience.failed(refused, failures: 1, hasOtherKey: false, random: 1, now: now) {
            #expect(!patience.isExhausted(outage: 0))
            #expect(patience.remaining(now: now) == pause)
            now += pause
        }
        #expect(now == 90_000)
        _ = patience.failed(busy, failures: 1, hasOtherKey: false, random: 1, now: now)
        #expect(!patience.isExhausted(outage: 1000))
    }

    @Test func `another key ends the wait`() {
        var patience = LLMPatience(left: 0, now: 0)
        _ = patience.failed(refused, failures: 1, hasOtherKey: false, random: 1, now: 0)
        patience.keyChanged(now: 10)
        #expect(patience.remaining(now: 10) == 0)
        // A wait for another cause is not about the key.
        _ = patience.failed(busy, failures: 3, hasOtherKey: false, random: 1, now: 10)
        patience.keyChanged(now: 10)
        #expect(patience.remaining(now: 10) == 4000)
    }

    @Test func `what no try mends has no next one`() {
        var patience = LLMPatience(left: 0, now: 0)
        for kind in [LLMError.Kind.quota, .invalidRequest, .overflow, .protocolError, .interrupted] {
            #expect(patience.failed(.init(kind, "no"), failures: 1, hasOtherKey: true, random: 1, now: 0) == nil)
        }
    }
}

/// What of a wait is left for a process that comes after.
struct BackoffTests {
    private func state(_ failure: Event.LLMFailed) -> JobState {
        var journal = JournalBuilder.begun()
        journal.intend()
        journal.append(.llmFailed(failure))
        journal.takeOver()
        return journal.state
    }

    private let day: Int64 = 86_400_000

    private func failure(_ kind: LLMError.Kind = .overloaded, retryAt: Int64, delay: Int64?) -> Event.LLMFailed {
        .init(turn: 1, attempt: 1, kind: kind, message: "no", retryAt: retryAt, delay: delay)
    }

    @Test func `by the same clock the rest of the wait`() {
        let state = state(failure(retryAt: 50_000, delay: 16_000))
        #expect(state.backoffLeft(at: 34_000) == 16_000)
        #expect(state.backoffLeft(at: 40_000) == 10_000)
        #expect(state.backoffLeft(at: 50_000) == 0)
        #expect(state.backoffLeft(at: 50_000 + day) == 0)
    }

    @Test func `a time that is further away than the wait was long was told by another clock`() {
        let state = state(failure(retryAt: day + 50_000, delay: 16_000))
        #expect(state.backoffLeft(at: 40_000) == 0)
        #expect(state.backoffLeft(at: day + 40_000) == 10_000)
    }

    @Test func `an older journal, which does not say how long the wait was, is believed for an hour`() {
        // The journal's own times count: 1040 is when this one failed.
        #expect(state(failure(retryAt: 5000, delay: nil)).backoffLeft(at: 2000) == 3000)
        #expect(state(failure(retryAt: 5000, delay: nil)).backoffLeft(at: -day) == 0)
        #expect(state(failure(retryAt: 2 * day, delay: nil)).backoffLeft(at: 2 * day - 3_600_000) == 3_600_000)
        #expect(state(failure(retryAt: 2 * day, delay: nil)).backoffLeft(at: 2 * day - 3_600_001) == 0)
    }

    @Test func `a paused job keeps its wait`() {
        var journal = JournalBuilder.begun()
        journal.intend()
        journal.append(.llmFailed(failure(retryAt: 50_000, delay: 16_000)))
        journal.append(.commandReceived(.init(id: "c", kind: .pause, text: "")))
        #expect(journal.state.backoffLeft(at: 40_000) == 10_000)
    }

    @Test func `a new process has read the key anew and tries it at once`() {
        #expect(state(failure(.authentication, retryAt: 50_000, delay: 9000)).backoffLeft(at: 45_000) == 0)
    }

    @Test func `a job that waits for nothing has nothing left`() {
        #expect(JournalBuilder.begun().state.backoffLeft(at: 0) == 0)
    }
}
