import Agent
import AgentFixtures
import Events
import FoundationEssentials
import Testing

/// What a snapshot row holds. If one of these fails because `JobState` has changed, raise `JobState.formatVersion`.
struct StateFormatTests {
    private func journal() -> JournalBuilder {
        var journal = JournalBuilder.begun()
        journal.step(
            "plan_write", effects: [.planWritten("plan"), .todosStaged([Todo(id: "t1", title: "a", acceptance: "b")])])
        journal.answer([("execute", ["command": "x"], false), ("read_file", [:], true)])
        journal.start("2.0")
        journal.append(.commandReceived(.init(id: "c1", kind: .message, text: "hello")))
        journal.finish("2.0")
        journal.start("2.1")
        journal.takeOver()
        journal.finish("2.1", .interrupted)
        journal.intend()
        journal.append(
            .llmFailed(.init(turn: 3, attempt: 1, kind: .overloaded, message: "busy", retryAt: 99)))
        journal.append(.commandReceived(.init(id: "c2", kind: .pause, text: "")))
        journal.append(.restored(.init(seq: 5, reason: "r", aside: "", asks: false)))
        journal.append(.statusChanged(.init(status: .needsInput(reason: "full"), cause: .diskFull)))
        return journal
    }

    @Test func `a state comes back from its form as it was, after every event`() throws {
        let events = journal().events
        for count in 0...events.count {
            let state = JobState(folding: Array(events.prefix(count)))
            let back = try JSONDecoder().decode(JobState.self, from: try JSONEncoder().encode(state))
            #expect(back == state, "after \(count) events")
        }
    }

    @Test func `the form of version 3 has these fields`() throws {
        let data = try JSONEncoder().encode(journal().state)
        let names = try JSON(parsing: data).object.map { $0.keys.sorted() }
        #expect(JobState.formatVersion == 3)
        #expect(
            names == [
                "answeredTokens", "answersWithoutCall", "background", "backoffDelay", "callCounts", "calls",
                "callsWithoutProgress", "compactedAnswers", "compactions", "digest", "epoch", "failingSince",
                "failures", "hasNewInput", "hasOverflowed", "hasUnreadInput", "lastStop", "messages",
                "missedDeliverable", "notes", "pausedFrom", "phase", "phaseNumber", "plan", "restoredAtStep",
                "restoredThrough", "seenCommands", "seq", "spent", "status", "stepsInPhase", "stoppedFrom", "task",
                "time", "todos",
                "wantsTactical", "wasToldOfStall", "words",
            ])
    }
}
