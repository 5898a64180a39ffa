import Agent
import AgentFixtures
import Events
import Testing

struct JobStateTests {
    @Test func `the first message holds the task and the phase's brief`() {
        let state = JournalBuilder.begun().state
        #expect(state.messages.count == 1)
        #expect(state.messages.first?.content == [.text("The task:\n\nDo it"), .text("brief")])
    }

    @Test func `results of parallel calls come first, in the order of the calls, in one message`() {
        var journal = JournalBuilder.begun()
        journal.answer([("execute", [:], false), ("read_file", [:], true)])
        journal.start("1.0")
        journal.append(.commandReceived(.init(id: "m", kind: .message, text: "Hurry")))
        journal.finish("1.0", content: "first")
        #expect(journal.state.messages.count == 2)
        journal.start("1.1")
        journal.finish("1.1", .failed, content: "second")
        #expect(
            journal.state.messages.last?.content == [
                .toolResult(id: "call_0", content: "first", isError: false),
                .toolResult(id: "call_1", content: "second", isError: true),
                .text("A message from the user:\nHurry"),
            ])
    }

    @Test func `an answer that never came counts as its hold, and only once`() {
        var journal = JournalBuilder.begun()
        journal.intend(hold: 700)
        #expect(journal.state.spent.tokens == 0)
        journal.takeOver()
        #expect(journal.state.spent.lostTokens == 700)
        journal.intend(hold: 50)
        #expect(journal.state.spent.lostTokens == 700)
        journal.append(.llmFailed(.init(turn: 1, attempt: 1, kind: .truncated, message: "cut", retryAt: nil)))
        #expect(journal.state.spent.lostTokens == 750)
        journal.answer()
        #expect(journal.state.spent.tokens == 750 + 110)
    }

    @Test func `a refused request costs nothing`() {
        var journal = JournalBuilder.begun()
        journal.intend(hold: 700)
        journal.append(.llmFailed(.init(turn: 1, attempt: 1, kind: .rateLimited, message: "429", retryAt: 5000)))
        #expect(journal.state.spent.tokens == 0)
        #expect(journal.state.status == .backoff(until: 5000, reason: "429"))
    }

    @Test func `a pause holds whatever comes, and a resumption goes back to it`() {
        let backoff = Event.LLMFailed(turn: 1, attempt: 1, kind: .rateLimited, message: "429", retryAt: 5000)
        for pauseComesFirst in [true, false] {
            var journal = JournalBuilder.begun()
            journal.intend()
            if pauseComesFirst { journal.append(.commandReceived(.init(id: "p", kind: .pause, text: ""))) }
            journal.append(.llmFailed(backoff))
            if !pauseComesFirst { journal.append(.commandReceived(.init(id: "p", kind: .pause, text: ""))) }
            #expect(journal.state.status == .paused)
            journal.append(.commandReceived(.init(id: "r", kind: .resume, text: "")))
            #expect(journal.state.status == .backoff(until: 5000, reason: "429"))
        }
    }

    @Test func `an answer that comes in a pause ends the backoff before it`() {
        var journal = JournalBuilder.begun()
        journal.intend()
        journal.append(.llmFailed(.init(turn: 1, attempt: 1, kind: .server, message: "500", retryAt: 5000)))
        journal.append(.commandReceived(.init(id: "p", kind: .pause, text: "")))
        journal.answer()
        #expect(journal.state.status == .paused)
        journal.append(.commandReceived(.init(id: "r", kind: .resume, text: "")))
        #expect(journal.state.status == .running)
    }

    @Test func `a question in a pause is open after it unless it was answered`() {
        for isAnswered in [true, false] {
            var journal = JournalBuilder.begun()
            journal.append(.commandReceived(.init(id: "p", kind: .pause, text: "")))
            journal.step("ask_human", effects: [.questionAsked("Which?")])
            if isAnswered { journal.append(.commandReceived(.init(id: "m", kind: .message, text: "This"))) }
            #expect(journal.state.status == .paused)
            journal.append(.commandReceived(.init(id: "r", kind: .resume, text: "")))
            #expect(journal.state.status == (isAnswered ? .running : .needsInput(reason: "Which?")))
        }
    }

    @Test func `time between processes is not time at work`() {
        var journal = JournalBuilder.begun()
        let before = journal.state.spent.wall
        journal.time += 3_600_000
        journal.takeOver()
        #expect(journal.state.spent.wall == before)
        journal.intend()
        #expect(journal.state.spent.wall == before + 10)
    }

    @Test func `a resumed process counts what it took from the journal`() {
        var journal = JournalBuilder.begun()
        journal.step("read_file")
        journal.answer([("execute", [:], false), ("execute", [:], false)])
        journal.start("2.0")
        journal.takeOver()
        journal.finish("2.0", .interrupted)
        journal.start("2.1")
        journal.finish("2.1")
        #expect(journal.state.callCounts == .init(run: 3, ended: 2, reused: 1, interrupted: 1, refused: 0))
    }

    @Test func `a todo keeps its id, its attempts are counted, and none is deleted`() {
        var journal = JournalBuilder.begun()
        let todos = [Todo(id: "t1", title: "One", acceptance: "1"), Todo(id: "t2", title: "Two", acceptance: "2")]
        journal.step("todo_stage", effects: [.todosStaged(todos)])
        for status in [Todo.Status.inProgress, .pending, .inProgress, .inProgress, .done] {
            journal.step("todo_update", effects: [.todoUpdated(id: "t1", status: status, evidence: nil)])
        }
        #expect(journal.state.todos.map(\.id) == ["t1", "t2"])
        #expect(journal.state.todos.first?.attempts == 2)
        #expect(journal.state.todos.first?.status == .done)
    }

    @Test func `a task that comes when there is one is a message`() {
        var journal = JournalBuilder.begun()
        journal.append(.commandReceived(.init(id: "x", kind: .task, text: "And this")))
        #expect(journal.state.task == "Do it")
        #expect(journal.state.hasNewInput)
    }

    @Test func `an empty answer is sent back as one with a text`() {
        var journal = JournalBuilder.begun()
        journal.intend()
        journal.append(
            .llmDone(.init(turn: 1, attempt: 1, content: [], calls: [], stop: .endTurn, usage: nil, duration: 1)))
        #expect(pairingProblem(journal.state.messages) == nil)
        #expect(journal.state.spent.hasUnknownCost)
    }

    @Test(arguments: 0..<200)
    func `whatever happens, the conversation stays one that the APIs accept`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var journal = JournalBuilder.begun()
        for _ in 0..<40 {
            let state = journal.state
            if let call = state.calls.first(where: { $0.state != .finished }) {
                switch Int.random(in: 0..<4, using: &random) {
                case 0: journal.takeOver()
                case 1: journal.append(.commandReceived(.init(id: "\(journal.time)", kind: .message, text: "hi")))
                default:
                    journal.start(call.call.id)
                    journal.finish(call.call.id, Bool.random(using: &random) ? .done : .interrupted)
                }
            } else {
                switch Int.random(in: 0..<6, using: &random) {
                case 0: journal.takeOver()
                case 1: journal.append(.commandReceived(.init(id: "\(journal.time)", kind: .message, text: "hi")))
                case 2: journal.enter(state.phase == .strategic ? .tactical : .strategic, number: state.phaseNumber + 1)
                case 3:
                    journal.intend()
                    journal.append(.llmFailed(.init(turn: 1, attempt: 1, kind: .network, message: "", retryAt: 1)))
                default:
                    guard state.messages.last?.role == .user else {
                        journal.append(.noted(.init(kind: .reminder, text: "go on")))
                        continue
                    }
                    let count = Int.random(in: 0..<4, using: &random)
                    journal.answer((0..<count).map { _ in ("execute", [:], false) })
                }
            }
            #expect(pairingProblem(journal.state.messages.dropLastOpen(journal.state)) == nil)
        }
    }
}

extension [Message] {
    /// Without an answer whose calls are still open: it is not sent before they are answered.
    fileprivate func dropLastOpen(_ state: JobState) -> [Message] { state.calls.isEmpty ? self : dropLast() }
}

/// SplitMix64 (Steele, Lea and Flood 2014): the same numbers for the same seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
