import Agent
import AgentFixtures
import Events
import Testing

struct CompactionTests {
    private func limits(window: Int) -> Limits {
        var limits = Limits()
        limits.window = window
        // Nothing else is to be due before.
        (limits.steps, limits.stepsInPhase, limits.stall) = (10_000, 10_000, 10_000)
        return limits
    }

    /// A job with so many answers, each with some calls, whose results are as long as is said.
    private func journal(answers: Int, calls: Int, resultLength: Int) -> JournalBuilder {
        var journal = JournalBuilder.begun()
        journal.enter(.tactical, number: 2)
        for answer in 0..<answers {
            journal.answer(
                (0..<calls).map { ("execute", ["command": .string("c\(answer).\($0)")], false) },
                text: "answer \(answer + 1)", usage: nil)
            for call in 0..<calls {
                journal.start("\(answer + 1).\(call)")
                journal.finish("\(answer + 1).\(call)", content: String(repeating: "r", count: resultLength))
            }
        }
        return journal
    }

    private func step(_ state: JobState, window: Int) -> Step {
        state.nextStep(limits: limits(window: window), mayTry: true)
    }

    @Test func `a conversation within its window is left alone`() {
        let state = journal(answers: 10, calls: 1, resultLength: 1000).state
        #expect(step(state, window: 200_000) == .ask)
    }

    @Test(arguments: 1...12, 0...3) func `whatever is left out, each call keeps its result`(answers: Int, calls: Int) {
        var journal = journal(answers: answers, calls: calls, resultLength: 4000)
        if calls == 0 { journal.append(.noted(.init(kind: .reminder, text: "go on"))) }
        var compactions = 0
        while case .compact(let shorter) = step(journal.state, window: 4096) {
            journal.append(.compacted(shorter))
            compactions += 1
            #expect(pairingProblem(journal.state.messages) == nil)
            #expect(compactions <= 3)
            if compactions > 3 { return }
        }
        let text = journal.state.messages.first?.content.first
        guard compactions > 0, case .text(let summary)? = text else { return }
        #expect(summary.contains("Do it") && summary.contains("1. answer 1"))
        #expect(Audit(journal.events).violations.isEmpty)
        // The same again from the journal alone, and from a snapshot's encoding.
        #expect(JobState(folding: journal.events) == journal.state)
    }

    @Test func `the provider's own count decides, and what came since is added`() {
        var journal = journal(answers: 9, calls: 1, resultLength: 10)
        journal.intend()
        journal.append(
            .llmDone(
                .init(
                    turn: 10, attempt: 1, content: [.text("x"), .toolCall(id: "c", name: "execute", input: [:])],
                    calls: [.init(id: "10.0", providerID: "c", tool: "execute", input: [:], isIdempotent: true)],
                    stop: .toolUse, usage: TokenUsage(input: 7000, output: 500), duration: 1)))
        journal.start("10.0")
        journal.finish("10.0", content: String(repeating: "r", count: 4000))
        #expect((8490...8510).contains(journal.state.contextTokens))
        #expect(step(journal.state, window: 11000) == .ask)
        guard case .compact(let shorter) = step(journal.state, window: 10000) else {
            Issue.record("85 % is more than 80")
            return
        }
        #expect(shorter.answers == 4)
    }

    @Test func `the user's words are kept, also when it is compacted again`() {
        var journal = journal(answers: 4, calls: 1, resultLength: 10)
        journal.append(.commandReceived(.init(id: "m1", kind: .message, text: "Mind the gap.")))
        journal.enter(.strategic, number: 3)
        for answer in 5...30 {
            journal.answer([("execute", [:], false)], text: "answer \(answer)", usage: nil)
            journal.start("\(answer).0")
            journal.finish("\(answer).0", content: String(repeating: "r", count: 3000))
            while case .compact(let shorter) = step(journal.state, window: 8000) { journal.append(.compacted(shorter)) }
        }
        #expect(journal.state.compactedAnswers > 15)
        #expect(journal.state.words == ["A message from the user:\nMind the gap."])
        guard case .text(let summary)? = journal.state.messages.first?.content.first else { return }
        #expect(summary.contains("Mind the gap."))
    }

    @Test func `what stands for a very long conversation is bounded`() {
        var journal = journal(answers: 250, calls: 1, resultLength: 1000)
        while case .compact(let shorter) = step(journal.state, window: 4096) { journal.append(.compacted(shorter)) }
        #expect(journal.state.digest.reduce(0) { $0 + $1.utf8.count } < 34 << 10)
        #expect(journal.state.digest.first?.contains("earlier lines are left out") == true)
    }
}
