import Events

/// Writes the plan: replaces what was planned before.
struct PlanWriteTool: Tool {
    let specification = ToolSpecification(
        name: "plan_write",
        description: "Write the plan of the whole job, replacing the former one. It is kept word for word.",
        inputSchema: schema(["text": property("string", "The plan, in Markdown.")], required: ["text"]))
    let phases: Set<Phase> = [.strategic]
    let isIdempotent = true

    func run(_ call: ToolCall) throws(ToolFailure) -> ToolResult {
        let text = try call.input.text("text")
        guard text.utf8.count <= 65536 else { throw .refused(ToolRefusal("The plan is longer than 64 KiB.")) }
        return ToolResult("The plan is written.", effects: [.planWritten(text)])
    }
}

/// Stages todos for the next tactical phase.
struct TodoStageTool: Tool {
    let specification = ToolSpecification(
        name: "todo_stage",
        description: """
            Stage todos for the tactical phase. Each has a title and an acceptance criterion, and may have a check: a \
            shell command that exits with 0 when the todo is done. The checks are run before the job is accepted as \
            complete: in the project tree, with the programs of the image and an empty home. What a check needs beside \
            them lies in the tree (a virtual environment, for example). Ids are given to them (t1, t2, …).
            """,
        inputSchema: schema(
            [
                "todos": [
                    "type": "array",
                    "items": schema(
                        [
                            "title": property("string", "What is to be done."),
                            "acceptance": property("string", "How one can tell that it is done."),
                            "check": property("string", "A shell command that exits with 0 when it is done."),
                        ], required: ["title", "acceptance"]),
                ]
            ], required: ["todos"]))
    let phases: Set<Phase> = [.strategic]
    let isIdempotent = true

    func run(_ call: ToolCall) throws(ToolFailure) -> ToolResult {
        let items = try call.input.list("todos")
        guard !items.isEmpty else { throw .refused(ToolRefusal("\"todos\" is empty.")) }
        guard call.state.todos.count + items.count <= 200 else {
            throw .refused(ToolRefusal("A job has at most 200 todos; stage fewer and larger ones."))
        }
        var todos: [Todo] = []
        for item in items {
            let input = try ToolInput(item)
            todos.append(
                Todo(
                    id: "t\(call.state.todos.count + todos.count + 1)", title: try input.text("title"),
                    acceptance: try input.text("acceptance"), check: try input.optionalWord("check")))
        }
        let list = todos.map { "\($0.id): \($0.title)" }.joined(separator: "\n")
        return ToolResult("Staged:\n\(list)", effects: [.todosStaged(todos)])
    }
}

/// Changes a todo's status.
struct TodoUpdateTool: Tool {
    let specification = ToolSpecification(
        name: "todo_update",
        description: """
            Change the status of a todo. One todo is in progress at a time. done and dropped need evidence: what shows \
            it, or why it is no longer needed. blocked needs evidence too: what is in the way.
            """,
        inputSchema: schema(
            [
                "id": property("string", "The todo's id, for example t1."),
                "status": [
                    "type": "string", "enum": .array(Todo.Status.allCases.map { .string($0.rawValue) }),
                ],
                "evidence": property("string", "What shows it."),
            ], required: ["id", "status"]))
    let phases: Set<Phase> = [.tactical]
    let isIdempotent = true

    func run(_ call: ToolCall) throws(ToolFailure) -> ToolResult {
        let id = try call.input.text("id")
        guard let todo = call.state.todos.first(where: { $0.id == id }) else {
            let known = call.state.todos.map(\.id).joined(separator: ", ")
            throw .refused(ToolRefusal("There is no todo \(id); there are \(known)."))
        }
        let word = try call.input.text("status")
        guard let status = Todo.Status(rawValue: word) else {
            let known = Todo.Status.allCases.map(\.rawValue).joined(separator: ", ")
            throw .refused(ToolRefusal("There is no status \(word); there are \(known)."))
        }
        let evidence = try call.input.optionalText("evidence")
        if evidence != nil, let failed = call.state.failedCall(before: call.id) {
            throw .refused(
                ToolRefusal(
                    "\(id) stays as it is: the call \(failed.call.tool) before this one, in the same answer, "
                        + "\(failed.outcome == .interrupted ? "was interrupted" : "failed"). Look at its result, then update "
                        + "the todo."))
        }
        if status == .done || status == .dropped || status == .blocked, evidence == nil {
            throw .refused(ToolRefusal("\(word) needs \"evidence\"."))
        }
        if status == .inProgress, let other = call.state.todos.first(where: { $0.status == .inProgress && $0.id != id })
        {
            throw .refused(ToolRefusal("\(other.id) is in progress; finish it or set it back to pending first."))
        }
        return ToolResult(
            "\(todo.id) is \(word) now.", effects: [.todoUpdated(id: id, status: status, evidence: evidence)])
    }
}
