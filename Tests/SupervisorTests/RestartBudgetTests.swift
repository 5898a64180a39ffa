import Supervisor
import Testing

struct RestartBudgetTests {
    @Test func `five restarts within ten minutes, each after twice the wait`() {
        var budget = RestartBudget.standard
        #expect((0..<6).map { budget.take(at: $0 * 1000) } == [100, 200, 400, 800, 1600, nil])
    }

    @Test func `a restart of ten minutes ago no longer counts`() {
        var budget = RestartBudget.standard
        for _ in 0..<5 { _ = budget.take(at: 0) }
        #expect(budget.take(at: 599_999) == nil)
        #expect(budget.take(at: 600_000) == 100)
    }

    @Test func `the wait has an upper bound, whatever the limit`() {
        var budget = RestartBudget(limit: 1000, window: 600_000, firstDelay: 100, longestDelay: 5000)
        #expect((0..<1000).compactMap { _ in budget.take(at: 0) }.max() == 5000)
    }
}
