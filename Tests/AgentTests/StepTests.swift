import Agent
import AgentFixtures
import Events
import Testing

struct StepTests {
    private let limits = Limits()

    private func next(_ journal: JournalBuilder, limits: Limits = Limits(), mayTry: Bool = true) -> Step {
        journal.state.nextStep(limits: limits, mayTry: mayTry)
    }

    private func staged(_ todos: Int = 1) -> JournalBuilder {
        var journal = JournalBuilder.begun()
        let list = (1...todos).map { Todo(id: "t\($0)", title: "T", acceptance: "A") }
        journal.step("todo_stage", effects: [.todosStaged(list)])
        return journal
    }

    private func tactical(_ todos: Int = 1) -> JournalBuilder {
        var journal = staged(todos)
        journal.enter(.tactical, number: 2)
        return journal
    }

    @Test func `a job without a task waits for one`() {
        #expect(JobState().nextStep(limits: limits, mayTry: true) == .waitForTask)
    }

    @Test func `a job with a task asks`() { #expect(next(.begun()) == .ask) }

    @Test func `calls are run one after the other before anything else`() {
        var journal = JournalBuilder.begun()
        journal.answer([("read_file", [:], true), ("execute", [:], false)])
        guard case .run(let first) = next(journal) else {
            Issue.record("\(next(journal))")
            return
        }
        #expect(first.call.id == "1.0")
        journal.start("1.0")
        journal.finish("1.0")
        guard case .run(let second) = next(journal) else {
            Issue.record("\(next(journal))")
            return
        }
        #expect(second.call.id == "1.1")
    }

    @Test func `a call that was running in an earlier process is settled, not run again`() {
        var journal = JournalBuilder.begun()
        journal.answer([("execute", [:], false)])
        journal.start("1.0")
        journal.takeOver()
        guard case .settleInterrupted(let call) = next(journal) else {
            Issue.record("\(next(journal))")
            return
        }
        #expect(call.call.id == "1.0")
    }

    @Test func `an idempotent call that was running is run again`() {
        var journal = JournalBuilder.begun()
        journal.answer([("read_file", [:], true)])
        journal.start("1.0")
        journal.takeOver()
        guard case .run(let call) = next(journal) else {
            Issue.record("\(next(journal))")
            return
        }
        #expect(call.attempt == 1)
    }

    @Test func `begin_tactical changes the phase after all calls of the answer`() {
        var journal = staged()
        journal.answer([("begin_tactical", [:], true), ("read_file", [:], true)])
        journal.start("2.0")
        journal.finish("2.0", effects: [.tacticalRequested])
        guard case .run = next(journal) else {
            Issue.record("\(next(journal))")
            return
        }
        journal.start("2.1")
        journal.finish("2.1")
        #expect(next(journal) == .changePhase(to: .tactical, reason: "the plan is made"))
    }

    @Test func `the tactical phase ends when all todos are closed`() {
        var journal = tactical(2)
        journal.step("todo_update", effects: [.todoUpdated(id: "t1", status: .done, evidence: "e")])
        #expect(next(journal) == .ask)
        journal.step("todo_update", effects: [.todoUpdated(id: "t2", status: .dropped, evidence: "e")])
        #expect(next(journal) == .changePhase(to: .strategic, reason: "all todos are closed"))
    }

    @Test func `the tactical phase ends when two todos are blocked`() {
        var journal = tactical(3)
        for id in ["t1", "t2"] {
            journal.step("todo_update", effects: [.todoUpdated(id: id, status: .blocked, evidence: "e")])
        }
        #expect(next(journal) == .changePhase(to: .strategic, reason: "t1, t2 are blocked"))
    }

    @Test func `the tactical phase ends at new input, at end_phase and at its limit`() {
        var input = tactical()
        input.append(.commandReceived(.init(id: "m", kind: .message, text: "Wait")))
        #expect(next(input) == .changePhase(to: .strategic, reason: "there is new input from the user"))
        var ended = tactical()
        ended.step("end_phase", effects: [.phaseEnded(reason: "stuck")])
        #expect(next(ended) == .changePhase(to: .strategic, reason: "stuck"))
        var long = tactical()
        var short = Limits()
        short.stepsInPhase = 2
        for _ in 0..<2 { long.step("read_file") }
        #expect(
            next(long, limits: short)
                == .changePhase(to: .strategic, reason: "the phase has reached its limit of 2 steps"))
    }

    @Test func `a stall is said once and then ends the phase`() {
        var journal = tactical()
        for _ in 0..<15 { journal.step("read_file") }
        guard case .note(let note) = next(journal) else {
            Issue.record("\(next(journal))")
            return
        }
        #expect(note.kind == .stall)
        journal.append(.noted(note))
        #expect(next(journal) == .ask)
        for _ in 0..<15 { journal.step("read_file") }
        #expect(next(journal) == .changePhase(to: .strategic, reason: "no todo and no file has changed in 30 calls"))
    }

    @Test func `a changed file is progress`() {
        var journal = tactical()
        for _ in 0..<14 { journal.step("read_file") }
        journal.step("write_file", effects: [.artifactChanged(path: "a")])
        journal.step("read_file")
        #expect(next(journal) == .ask)
    }

    @Test func `an answer without a call is answered with a reminder, three of them end the job`() {
        var journal = JournalBuilder.begun()
        for _ in 0..<2 {
            journal.answer()
            guard case .note(let note) = next(journal) else {
                Issue.record("\(next(journal))")
                return
            }
            journal.append(.noted(note))
            #expect(next(journal) == .ask)
        }
        journal.answer()
        guard case .finish(.failed, _) = next(journal) else {
            Issue.record("\(next(journal))")
            return
        }
    }

    @Test func `a paused turn is sent back as it is, a refusal ends the job`() {
        var journal = JournalBuilder.begun()
        journal.answer(stop: .pauseTurn)
        #expect(next(journal) == .ask)
        journal.answer(stop: .refusal)
        #expect(next(journal) == .finish(.failed, reason: "the model refused to go on"))
    }

    @Test func `a claim is verified, and nothing else ends a job as completed`() {
        var journal = JournalBuilder.begun()
        journal.step("job_complete", effects: [.completionClaimed(summary: "Done", deliverables: [])])
        #expect(next(journal) == .changePhase(to: .verify, reason: "the job is said to be complete"))
        journal.enter(.verify, number: 1)
        #expect(next(journal) == .verify)
        journal.takeOver()
        #expect(next(journal) == .verify)
        journal.append(.verified(.init(passed: true, report: [])))
        #expect(next(journal) == .ended)
        #expect(journal.state.status == .finished(.completed, reason: "Done"))
    }

    @Test func `a failed verification leads back to thinking without the claim`() {
        var journal = JournalBuilder.begun()
        journal.step("job_complete", effects: [.completionClaimed(summary: "Done", deliverables: [])])
        journal.enter(.verify, number: 1)
        journal.append(.verified(.init(passed: false, report: ["failed: x"])))
        journal.enter(.strategic, number: 2)
        #expect(next(journal) == .ask)
    }

    @Test func `each budget ends the job with its name`() {
        var journal = JournalBuilder.begun()
        journal.step("read_file")
        let spent = journal.state.spent
        #expect(spent.tokens == 110)
        for (change, name) in [
            ({ $0.steps = 1 }, "AGENT_MAX_STEPS"), ({ $0.tokens = 110 }, "AGENT_MAX_TOKENS"),
            ({ $0.cost = 0 }, "AGENT_MAX_COST_USD"), ({ $0.wall = 10 }, "AGENT_MAX_WALL_SECONDS"),
        ] as [((inout Limits) -> Void, String)] {
            var limits = Limits()
            change(&limits)
            guard case .finish(.budgetExhausted, let reason) = next(journal, limits: limits) else {
                Issue.record("\(name): \(next(journal, limits: limits))")
                continue
            }
            #expect(reason.hasPrefix(name))
        }
    }

    @Test func `a back-off lasts as long as its wait, also for the next process`() {
        var journal = JournalBuilder.begun()
        journal.intend()
        journal.append(.llmFailed(.init(turn: 1, attempt: 1, kind: .overloaded, message: "529", retryAt: 5000)))
        journal.takeOver()
        #expect(next(journal, mayTry: false) == .backOff)
        #expect(next(journal, mayTry: true) == .ask)
    }

    @Test func `an intent of a checkpoint that was put back may have run: a human is asked before it runs`() {
        var journal = JournalBuilder.begun()
        journal.answer([("execute", [:], false)])
        journal.takeOver()
        journal.append(.restored(.init(seq: 5, reason: "lost", aside: "", asks: true)))
        journal.takeOver()
        guard case .waitForHuman = next(journal) else {
            Issue.record("\(next(journal))")
            return
        }
        journal.append(.commandReceived(.init(id: "m", kind: .message, text: "Go on")))
        guard case .run = next(journal) else {
            Issue.record("\(next(journal))")
            return
        }
    }

    @Test func `a question waits for a message, and cancelling is final`() {
        var journal = JournalBuilder.begun()
        journal.step("ask_human", effects: [.questionAsked("Which?")])
        #expect(next(journal) == .waitForHuman(reason: "Which?"))
        journal.append(.commandReceived(.init(id: "m", kind: .message, text: "This")))
        #expect(next(journal) == .ask)
        journal.append(.commandReceived(.init(id: "c", kind: .cancel, text: "")))
        #expect(next(journal) == .ended)
        journal.append(.commandReceived(.init(id: "r", kind: .resume, text: "")))
        #expect(next(journal) == .ended)
    }

    @Test func `pause holds everything until resume`() {
        var journal = JournalBuilder.begun()
        journal.answer([("execute", [:], false)])
        journal.append(.commandReceived(.init(id: "p", kind: .pause, text: "")))
        #expect(next(journal) == .waitForHuman(reason: "paused"))
        journal.append(.commandReceived(.init(id: "r", kind: .resume, text: "")))
        guard case .run = next(journal) else {
            Issue.record("\(next(journal))")
            return
        }
    }
}
