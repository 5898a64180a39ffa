import Agent
import AgentFixtures
import Events
import Gateway
import Testing

struct ProjectionTests {
    private func entries(_ journal: JournalBuilder) -> [SpoolEntry] {
        var projection = JournalProjection()
        return journal.events.map { projection.entry(for: $0) }
    }

    @Test func `every event becomes a record with its place in the job`() throws {
        var journal = JournalBuilder.begun()
        journal.step("execute")
        let all = entries(journal)
        #expect(all.count == journal.events.count)
        for (entry, stored) in zip(all, journal.events) {
            #expect(!entry.record.body.isEmpty)
            #expect(entry.record.stream == .journal)
            #expect(entry.record.time == stored.time)
            #expect(entry.record.attributes["event.name"] == .string(stored.event.kind))
            #expect(entry.record.attributes["journal.seq"] == .int(stored.seq))
            #expect(entry.record.attributes["agent.phase"] == "STRATEGIC")
        }
    }

    @Test func `a request that failed says whether it is sent again, and when`() throws {
        var journal = JournalBuilder.begun()
        journal.append(.llmIntent(.init(turn: 1, attempt: 1, hold: .zero)))
        journal.append(.llmFailed(.init(turn: 1, attempt: 1, kind: .server, message: "500", retryAt: 5000)))
        journal.append(.llmFailed(.init(turn: 1, attempt: 2, kind: .authentication, message: "401")))
        let all = entries(journal)
        #expect(all[all.count - 2].record.attributes["agent.retry_at"] == "1970-01-01T00:00:05.000Z")
        #expect(all[all.count - 1].record.attributes["agent.retry_at"] == nil)
        #expect(all[all.count - 1].record.attributes["error.type"] == "authentication")
    }

    @Test func `a command's record says what is run, its result's what came of it`() throws {
        var journal = JournalBuilder.begun()
        journal.answer([("execute", ["command": "make test"], false)])
        journal.start("1.0")
        journal.append(
            .callFinished(
                .init(
                    call: "1.0", outcome: .failed, content: "exit code 2\nno rule", effects: [],
                    facts: ["exit_code": 2, "output_bytes": 7], duration: 1200)))
        let all = entries(journal)
        let (started, finished) = (all[all.count - 2].record, all[all.count - 1].record)
        #expect(started.body == "$ make test")
        #expect(started.attributes["gen_ai.tool.name"] == "execute")
        #expect(started.attributes["gen_ai.tool.call.id"] == "1.0")
        #expect(finished.body == "exit code 2\nno rule")
        #expect(finished.attributes["process.exit.code"] == 2)
        #expect(finished.attributes["outcome"] == "failed")
        #expect(finished.attributes["duration_ms"] == 1200)
        #expect(finished.attributes["gen_ai.tool.name"] == "execute")
    }

    @Test func `what the jail refused is a warning with its program and target, and an event`() throws {
        var journal = JournalBuilder.begun()
        journal.answer([("execute", ["command": "curl http://10.0.0.1"], false)])
        journal.start("1.0")
        let refused: JSON = [
            ["rule": "network", "kind": "connect", "target": "10.0.0.1:80", "program": "curl", "pid": 7]
        ]
        journal.append(
            .callFinished(
                .init(
                    call: "1.0", outcome: .failed, content: "exit code 7", effects: [],
                    facts: ["exit_code": 7, "refusals": ["connecting …"], "refused": refused], duration: 12)))
        let last = try #require(entries(journal).last)
        #expect(last.record.severity == .warn)
        #expect(last.record.attributes["refused"] == refused)
        #expect(last.event?.type == "agent.jail.refused")
        #expect(last.event?.data["refused"] == refused)
        #expect(last.event?.data["headline"] == "$ curl http://10.0.0.1")
    }

    @Test func `what machines wait for is an event`() throws {
        var journal = JournalBuilder()
        journal.takeOver()
        journal.append(.taskReceived(.init(text: "Do it", source: "AGENT_TASK")))
        journal.enter(.tactical, number: 2)
        journal.step("todo_stage", effects: [.todosStaged([Todo(id: "t1", title: "One", acceptance: "a")])])
        journal.append(.commandReceived(.init(id: "m", kind: .message, text: "hi")))
        journal.step("ask_human", effects: [.questionAsked("Which?")])
        journal.append(.statusChanged(.init(status: .finished(.budgetExhausted, reason: "steps"))))
        #expect(
            entries(journal).compactMap { $0.event?.type } == [
                "agent.started", "agent.task.received", "agent.phase.changed", "agent.todo.changed",
                "agent.message.received", "agent.needs_input", "agent.budget.exhausted",
            ])
        let todo = entries(journal).compactMap(\.event).first { $0.type == "agent.todo.changed" }
        #expect(todo?.data["todos"]?.array?.first?["id"] == "t1")
        #expect(todo?.data["todos"]?.array?.first?["status"] == "pending")
    }

    @Test func `a job that was verified is completed, one that was cancelled is cancelled`() throws {
        var journal = JournalBuilder.begun()
        journal.step("job_complete", effects: [.completionClaimed(summary: "done", deliverables: ["a.txt"])])
        journal.enter(.verify, number: 1)
        journal.append(.verified(.init(passed: true, report: ["passed: all"])))
        let completed = try #require(entries(journal).last?.event)
        #expect(completed.type == "agent.completed")
        #expect(completed.data["reason"] == "done")
        #expect(completed.data["deliverables"] == ["a.txt"])
        var other = JournalBuilder.begun()
        other.append(.commandReceived(.init(id: "c", kind: .cancel, text: "")))
        #expect(entries(other).last?.event?.type == "agent.cancelled")
    }

    @Test func `after a restart a result still knows its call`() throws {
        var journal = JournalBuilder.begun()
        journal.answer([("execute", ["command": "sleep 9"], false)])
        journal.start("1.0")
        var projection = JournalProjection()
        for event in journal.events { projection.fold(event) }
        journal.takeOver()
        journal.finish("1.0", .interrupted)
        let resumed = projection.entry(for: journal.events[journal.events.count - 2])
        #expect(resumed.record.body.hasPrefix("resumed on test"))
        let result = projection.entry(for: journal.events[journal.events.count - 1])
        #expect(result.record.attributes["headline"] == "$ sleep 9")
        #expect(result.record.severity == .warn)
    }
}
