import Agent
import AgentFixtures
import Events
import Testing

/// What the journal says of commands in the background, and what follows from it.
struct BackgroundStateTests {
    private func running() -> JournalBuilder {
        var journal = JournalBuilder.begun()
        journal.step("execute", effects: [.backgroundStarted(id: "1.0", command: "server")], isIdempotent: false)
        return journal
    }

    private func next(_ journal: JournalBuilder) -> Step { journal.state.nextStep(limits: Limits(), mayTry: true) }

    private func end(_ how: Event.BackgroundEnded.How, _ content: String) -> Event {
        .backgroundEnded(.init(call: "1.0", how: how, content: content))
    }

    @Test func `a command that was started is there until it has ended`() {
        var journal = running()
        #expect(journal.state.background.map(\.id) == ["1.0"])
        #expect(next(journal) == .ask)
        journal.append(end(.finished, "it is over"))
        #expect(journal.state.background.isEmpty)
        guard case .text("it is over")? = journal.state.messages.last?.content.last else {
            Issue.record("not told: \(journal.state.messages)")
            return
        }
    }

    @Test func `a process that takes over first settles what the one before took with it, once`() {
        var journal = running()
        journal.takeOver()
        guard case .settleBackground(let gone) = next(journal) else {
            Issue.record("\(next(journal))")
            return
        }
        #expect(gone == .init(id: "1.0", command: "server", epoch: 1))
        journal.append(end(.lost, "gone"))
        #expect(next(journal) == .ask)
        // Whoever comes after that has nothing to settle any more.
        journal.takeOver()
        #expect(next(journal) == .ask)
    }

    @Test func `one that is settled again changes nothing`() {
        var journal = running()
        journal.append(end(.killed, ""))
        let messages = journal.state.messages
        journal.append(end(.killed, ""))
        #expect(journal.state.background.isEmpty)
        #expect(journal.state.messages == messages)
    }

    @Test func `an end while the model is being asked is told after its answer`() {
        var journal = running()
        journal.intend()
        journal.append(end(.finished, "it is over"))
        #expect(journal.state.notes == ["it is over"])
        #expect(pairingProblem(journal.state.messages) == nil)
        journal.append(
            .llmDone(.init(turn: 2, attempt: 1, content: [.text("x")], calls: [], stop: .endTurn, duration: 1)))
        #expect(journal.state.notes.isEmpty)
        #expect(pairingProblem(journal.state.messages) == nil)
    }

    @Test func `a job that is over has nothing to settle`() {
        var journal = running()
        journal.append(.statusChanged(.init(status: .finished(.cancelled, reason: ""))))
        journal.takeOver()
        #expect(next(journal) == .ended)
    }
}
