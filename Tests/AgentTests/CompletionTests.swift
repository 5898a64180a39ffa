import Agent
import AgentFixtures
import Contracts
import Events
import Testing

/// A job is complete only when something shows it, and when nobody's word was passed over.
struct CompletionTests {
    private let limits = Limits()
    private let claim = Effect.completionClaimed(summary: "Done", deliverables: ["f"])

    private func next(_ journal: JournalBuilder) -> Step { journal.state.nextStep(limits: limits, mayTry: true) }

    private func message(_ id: String = "m1") -> Event {
        .commandReceived(.init(id: id, kind: .message, text: "Wait, also do this."))
    }

    // MARK: The user's words

    @Test func `a message that came while the claiming answer was under way is read before anything is verified`() {
        var journal = JournalBuilder.begun()
        journal.intend()
        journal.append(message())
        journal.append(
            .llmDone(
                .init(
                    turn: 1, attempt: 1, content: [.toolCall(id: "c", name: "job_complete", input: [:])],
                    calls: [.init(id: "1.0", providerID: "c", tool: "job_complete", input: [:], isIdempotent: true)],
                    stop: .toolUse, duration: 1)))
        #expect(journal.state.hasUnreadInput)
        journal.start("1.0")
        journal.finish("1.0", effects: [claim])
        #expect(next(journal) == .ask)
        #expect(lastMessage(of: journal).contains("Wait, also do this."))
        // The next request has the message; the claim was made without it.
        journal.intend()
        #expect(!journal.state.hasUnreadInput && journal.state.claim == nil)
    }

    @Test func `a message that comes after the claim sets it aside, and says so`() {
        var journal = JournalBuilder.begun()
        journal.step("job_complete", effects: [claim])
        #expect(next(journal) == .changePhase(to: .verify, reason: "the job is said to be complete"))
        journal.append(message())
        #expect(next(journal) == .ask)
        #expect(lastMessage(of: journal).contains("your claim that it is complete is set aside"))
    }

    @Test func `what was unread is so for the next process too`() {
        var journal = JournalBuilder.begun()
        journal.step("job_complete", effects: [claim])
        journal.append(message())
        journal.takeOver()
        #expect(journal.state.hasUnreadInput && next(journal) == .ask)
    }

    @Test func `a message that was read does not stand in the way`() {
        var journal = JournalBuilder.begun()
        journal.append(message())
        journal.step("job_complete", effects: [claim])
        #expect(!journal.state.hasUnreadInput)
        #expect(next(journal) == .changePhase(to: .verify, reason: "the job is said to be complete"))
    }

    @Test func `a job that was completed before this rule was made stays completed`() {
        var journal = JournalBuilder.begun()
        journal.step("job_complete", effects: [claim])
        journal.append(message())
        journal.enter(.verify, number: 1)
        journal.append(.verified(.init(passed: true, report: [])))
        #expect(journal.state.status == .finished(.completed, reason: "Done"))
    }

    @Test func `a journal that ends as completed without a verification is not whole`() {
        var journal = JournalBuilder.begun()
        journal.append(.statusChanged(.init(status: .finished(.completed, reason: "I say so"))))
        #expect(Audit(journal.events).violations == ["event 4: completed without a verification that passed"])
    }

    // MARK: What shows it

    private func refusal(
        _ deliverables: [String], acceptance: Bool = false, _ change: (inout JobState) -> Void = { _ in }
    ) throws -> String? {
        let folder = try TemporaryFolder()
        let settings = try Settings(
            environment: ["JOB_ID": "j", "AGENT_TASK": "t", "WORKSPACE_PATH": folder.path])
        try settings.folders.prepare()
        let commands = JailedCommands(program: "/no/agent-jail", folders: settings.folders, proxy: settings.proxy)
        let tools = ToolSet(
            commands: commands, background: BackgroundCommands(commands: commands, longest: 60000),
            tree: try ProjectTree(path: settings.folders.project), longestCommand: 60000, hasAcceptance: acceptance)
        var state = JobState()
        change(&state)
        let input: JSON = ["summary": "Done", "deliverables": .array(deliverables.map { .string($0) })]
        do {
            _ = try #require(tools["job_complete"]).run(
                ToolCall(id: "1.0", input: try ToolInput(input), state: state, attention: Undisturbed()))
            return nil
        } catch ToolFailure.refused(let refusal) {
            return refusal.message
        }
    }

    private func todo(_ status: Todo.Status) -> Todo {
        var todo = Todo(id: "t1", title: "T", acceptance: "A")
        todo.status = status
        return todo
    }

    @Test func `a claim without a todo, a deliverable or an acceptance is refused with what is missing`() throws {
        let words = try #require(try refusal([]))
        #expect(words.contains("no todo that is done, no deliverable and no acceptance"))
        // What was given up shows nothing.
        #expect(try refusal([]) { $0.todos = [todo(.dropped)] } == words)
    }

    @Test func `each of the three is enough`() throws {
        #expect(try refusal(["f"]) == nil)
        #expect(try refusal([], acceptance: true) == nil)
        #expect(try refusal([]) { $0.todos = [todo(.done)] } == nil)
    }

    @Test func `a claim whose deliverable was missing does not pass by naming none`() throws {
        let words = try refusal([], acceptance: true) {
            $0.todos = [todo(.done)]
            $0.missedDeliverable = true
        }
        #expect(words?.contains("named a deliverable that is not there") == true)
        #expect(try refusal(["g"]) { $0.missedDeliverable = true } == nil)
    }

    @Test func `whether a deliverable was missing is known from the last verification`() {
        var journal = JournalBuilder.begun()
        journal.enter(.verify, number: 1)
        journal.append(.verified(.init(passed: false, report: [], missedDeliverable: true)))
        #expect(journal.state.missedDeliverable)
        journal.append(.verified(.init(passed: false, report: [], missedDeliverable: false)))
        #expect(!journal.state.missedDeliverable)
    }

    @Test func `a claim with a message unread is refused`() throws {
        #expect(try refusal(["f"]) { $0.hasUnreadInput = true }?.contains("sent a message") == true)
    }
}
