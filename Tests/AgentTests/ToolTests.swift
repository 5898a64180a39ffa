import Agent
import AgentFixtures
import Contracts
import Events
import LinuxSystem
import Testing

/// Nothing ever comes from outside.
final class Undisturbed: LoopAttention {
    var descriptors: [Int32] { [] }
    func attend() -> Interruption? { nil }
    func takeCommands() -> [Event.CommandReceived] { [] }
}

struct ToolTests {
    let folder: TemporaryFolder
    let tools: ToolSet

    init() throws {
        folder = try TemporaryFolder()
        let environment = ["JOB_ID": "j", "AGENT_TASK": "t", "WORKSPACE_PATH": folder.path]
        let settings = try Settings(environment: environment)
        try settings.folders.prepare()
        let commands = JailedCommands(program: "/no/agent-jail", folders: settings.folders, proxy: settings.proxy)
        tools = ToolSet(
            commands: commands, background: BackgroundCommands(commands: commands, longest: 60000),
            tree: try ProjectTree(path: settings.folders.project), longestCommand: 60000,
            hasAcceptance: false)
    }

    @Test func `execute says which further folders can be read`() throws {
        let environment = [
            "JOB_ID": "j", "AGENT_TASK": "t", "WORKSPACE_PATH": folder.path, "AGENT_COMMAND_FOLDERS": "/usr/lib:/etc",
        ]
        let settings = try Settings(environment: environment)
        let commands = JailedCommands(program: "/no/agent-jail", folders: settings.folders, proxy: settings.proxy)
        let named = ToolSet(
            commands: commands, background: BackgroundCommands(commands: commands, longest: 60000),
            tree: try ProjectTree(path: folder.path), longestCommand: 60000, hasAcceptance: false)
        #expect(
            try #require(named["execute"]).specification.description.contains("run programs in, /usr/lib and /etc."))
        #expect(try !#require(tools["execute"]).specification.description.contains("run programs in"))
    }

    @discardableResult
    private func call(_ name: String, _ input: JSON, state: JobState = JobState()) throws -> ToolResult {
        let tool = try #require(tools[name])
        return try tool.run(ToolCall(id: "1.0", input: try ToolInput(input), state: state, attention: Undisturbed()))
    }

    private func refusal(_ name: String, _ input: JSON, state: JobState = JobState()) -> String? {
        do {
            try call(name, input, state: state)
            return nil
        } catch ToolFailure.refused(let refusal) {
            return refusal.message
        } catch {
            // No jail, for example: that is no refusal.
            Issue.record(error)
            return nil
        }
    }

    // MARK: The contract, for every registered tool

    @Test func `every tool has a name, a schema and a phase`() {
        #expect(Set(tools.all.map(\.specification.name)).count == tools.all.count)
        for tool in tools.all {
            let specification = tool.specification
            let isPlain = specification.name.allSatisfy { $0 == "_" || ("a"..."z").contains($0) }
            #expect((1...64).contains(specification.name.count) && isPlain, "\(specification.name)")
            let properties = specification.inputSchema["properties"]?.object ?? [:]
            let required = (specification.inputSchema["required"]?.array ?? []).compactMap(\.string)
            #expect(specification.inputSchema["type"] == "object")
            #expect(required.allSatisfy { properties[$0] != nil }, "\(specification.name)")
            #expect(!tool.phases.isEmpty && !tool.phases.contains(.verify))
        }
    }

    @Test func `every tool refuses an input without what it requires, and one of a wrong type`() {
        for tool in tools.all {
            let name = tool.specification.name
            for key in (tool.specification.inputSchema["required"]?.array ?? []).compactMap(\.string) {
                #expect(refusal(name, [:])?.isEmpty == false, "\(name) without \(key)")
                #expect(refusal(name, .object([key: 5]))?.isEmpty == false, "\(name) with a number as \(key)")
            }
        }
    }

    @Test func `only the tactical phase can change files, and only the strategic one can complete the job`() {
        let strategic = Set(tools.offered(in: .strategic).map(\.name))
        let tactical = Set(tools.offered(in: .tactical).map(\.name))
        #expect(strategic.isDisjoint(with: ["write_file", "edit_file", "todo_update", "end_phase"]))
        #expect(tactical.isDisjoint(with: ["job_complete", "plan_write", "todo_stage", "begin_tactical", "ask_human"]))
        #expect(tools.offered(in: .verify).isEmpty)
    }

    @Test func `a command and an edit are never run again by themselves`() {
        #expect(tools["execute"]?.isIdempotent == false)
        #expect(tools["edit_file"]?.isIdempotent == false)
    }

    @Test func `a jail that cannot be had is not a result`() {
        #expect { try call("execute", ["command": "true"]) } throws: {
            if case .noJail = $0 as? ToolFailure { true } else { false }
        }
    }

    // MARK: Files

    @Test func `a file is written, read in parts and edited`() throws {
        #expect(
            try call("write_file", ["path": "d/f", "content": "1\n2\n3\n"]).effects == [.artifactChanged(path: "d/f")])
        #expect(try call("read_file", ["path": "d/f", "offset": 2, "limit": 1]).content.hasPrefix("2\t2\n"))
        #expect(try call("edit_file", ["path": "d/f", "old": "2\n", "new": ""]).outcome == .done)
        #expect(try folder.read("project/d/f") == "1\n3\n")
    }

    @Test func `an edit that is not unique changes nothing unless all are meant`() throws {
        try call("write_file", ["path": "f", "content": "aXbXc"])
        #expect(try call("edit_file", ["path": "f", "old": "X", "new": "-"]).outcome == .failed)
        #expect(try call("edit_file", ["path": "f", "old": "Y", "new": "-"]).outcome == .failed)
        #expect(try folder.read("project/f") == "aXbXc")
        #expect(try call("edit_file", ["path": "f", "old": "X", "new": "--", "replace_all": true]).outcome == .done)
        #expect(try folder.read("project/f") == "a--b--c")
    }

    @Test func `a large file is read within the bound`() throws {
        let line = String(repeating: "x", count: 99)
        try call("write_file", ["path": "f", "content": .string(String(repeating: line + "\n", count: 5000))])
        let text = try call("read_file", ["path": "f"]).content
        #expect(text.utf8.count <= 64 << 10)
        #expect(text.contains("more lines; go on with offset"))
    }

    // MARK: Todos and phases

    private func state(_ todos: Todo...) -> JobState {
        var state = JobState()
        state.todos = todos
        return state
    }

    @Test(arguments: [Event.CallFinished.Outcome.failed, .interrupted])
    func `evidence that was written before a call of the same answer went wrong is not recorded`(
        outcome: Event.CallFinished.Outcome
    ) throws {
        var journal = JournalBuilder.begun()
        journal.step("todo_stage", effects: [.todosStaged([Todo(id: "t1", title: "T", acceptance: "A")])])
        journal.answer([("execute", [:], false), ("todo_update", [:], true)])
        journal.start("2.0")
        journal.finish("2.0", outcome)
        func update(_ id: String, _ input: JSON) -> String? {
            do {
                let tool = try #require(tools["todo_update"])
                _ = try tool.run(
                    ToolCall(id: id, input: try ToolInput(input), state: journal.state, attention: Undisturbed()))
                return nil
            } catch ToolFailure.refused(let refusal) {
                return refusal.message
            } catch {
                return "\(error)"
            }
        }
        let done: JSON = ["id": "t1", "status": "done", "evidence": "all green"]
        #expect(update("2.1", done)?.contains("the call execute before this one") == true)
        // Without evidence nothing is claimed; and what stands before the call, or in the next answer, may know.
        #expect(update("2.1", ["id": "t1", "status": "in_progress"]) == nil)
        #expect(update("2.0", done) == nil)
        journal.start("2.1")
        journal.finish("2.1", .refused)
        journal.answer([("todo_update", [:], true)])
        #expect(update("3.0", done) == nil)
    }

    @Test func `staged todos get ids that go on over the job`() throws {
        let input: JSON = [
            "todos": [["title": "A", "acceptance": "a"], ["title": "B", "acceptance": "b", "check": "c"]]
        ]
        let effects = try call("todo_stage", input, state: state(Todo(id: "t1", title: "", acceptance: ""))).effects
        #expect(
            effects == [
                .todosStaged([
                    Todo(id: "t2", title: "A", acceptance: "a"),
                    Todo(id: "t3", title: "B", acceptance: "b", check: "c"),
                ])
            ])
        #expect(refusal("todo_stage", ["todos": [["title": "A"]]])?.contains("acceptance") == true)
    }

    @Test(arguments: [true, false])
    func `what does not fit on a command line is refused before it is tried`(isTooLong: Bool) {
        let word = isTooLong ? String(repeating: "x", count: 100_001) : "a\0b"
        let todo: JSON = ["title": "A", "acceptance": "a", "check": .string(word)]
        let inputs: [(String, JSON)] = [
            ("execute", ["command": .string(word)]), ("search", ["pattern": .string(word)]),
            ("search", ["pattern": "a", "path": .string(word)]), ("list_files", ["path": .string(word)]),
            ("todo_stage", ["todos": [todo]]),
        ]
        for (name, input) in inputs {
            #expect(refusal(name, input)?.contains("longer than 100,000 bytes or has a NUL byte") == true, "\(name)")
        }
    }

    @Test func `closing a todo needs evidence, and one is in progress at a time`() throws {
        var busy = Todo(id: "t1", title: "", acceptance: "")
        busy.status = .inProgress
        let both = state(busy, Todo(id: "t2", title: "", acceptance: ""))
        #expect(refusal("todo_update", ["id": "t1", "status": "done"], state: both)?.contains("evidence") == true)
        #expect(refusal("todo_update", ["id": "t2", "status": "in_progress"], state: both)?.contains("t1") == true)
        #expect(refusal("todo_update", ["id": "t9", "status": "pending"], state: both)?.contains("t1, t2") == true)
        #expect(
            refusal("todo_update", ["id": "t1", "status": "finished"], state: both)?.contains("in_progress") == true)
        #expect(try call("todo_update", ["id": "t1", "status": "done", "evidence": "e"], state: both).outcome == .done)
    }

    @Test func `acting needs an open todo, and completing needs that none is open`() throws {
        let open = state(Todo(id: "t1", title: "", acceptance: ""))
        #expect(refusal("begin_tactical", [:])?.contains("todo_stage") == true)
        #expect(try call("begin_tactical", [:], state: open).effects == [.tacticalRequested])
        let claim: JSON = ["summary": "s", "deliverables": ["a"]]
        #expect(refusal("job_complete", claim, state: open)?.contains("t1") == true)
        #expect(try call("job_complete", claim).effects == [.completionClaimed(summary: "s", deliverables: ["a"])])
    }
}
