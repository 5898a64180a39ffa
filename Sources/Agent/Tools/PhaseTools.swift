import Events

/// Ends the strategic phase.
struct BeginTacticalTool: Tool {
    let specification = ToolSpecification(
        name: "begin_tactical",
        description: "End the strategic phase and begin to act. At least one todo must be open.",
        inputSchema: schema([:], required: []))
    let phases: Set<Phase> = [.strategic]
    let isIdempotent = true

    func run(_ call: ToolCall) throws(ToolFailure) -> ToolResult {
        guard call.state.todos.contains(where: { !$0.status.isClosed }) else {
            throw .refused(ToolRefusal("No todo is open: stage at least one with todo_stage first."))
        }
        return ToolResult("The tactical phase begins.", effects: [.tacticalRequested])
    }
}

/// Ends the tactical phase.
struct EndPhaseTool: Tool {
    let specification = ToolSpecification(
        name: "end_phase",
        description: "End the tactical phase and go back to thinking: all is done, or the plan has to change.",
        inputSchema: schema(["reason": property("string", "Why the phase ends.")], required: ["reason"]))
    let phases: Set<Phase> = [.tactical]
    let isIdempotent = true

    func run(_ call: ToolCall) throws(ToolFailure) -> ToolResult {
        ToolResult("The tactical phase ends.", effects: [.phaseEnded(reason: try call.input.text("reason"))])
    }
}

/// Asks a human; the job waits for the answer.
struct AskHumanTool: Tool {
    let specification = ToolSpecification(
        name: "ask_human",
        description: "Ask the user a question that you cannot settle yourself. The job waits for the answer.",
        inputSchema: schema(["question": property("string", "The question.")], required: ["question"]))
    let phases: Set<Phase> = [.strategic]
    let isIdempotent = true

    func run(_ call: ToolCall) throws(ToolFailure) -> ToolResult {
        let question = try call.input.text("question")
        return ToolResult("The user is asked; the answer follows.", effects: [.questionAsked(question)])
    }
}

/// Claims that the job is done.
struct JobCompleteTool: Tool {
    let specification = ToolSpecification(
        name: "job_complete",
        description: """
            Say that the job is done. It is then verified: every deliverable exists in the project tree, no todo is \
            open, every todo's check and the acceptance command pass. If not, you are told what failed.
            """,
        inputSchema: schema(
            [
                "summary": property("string", "What was done and how it was shown to work."),
                "deliverables": [
                    "type": "array", "items": ["type": "string"],
                    "description": "Paths in the project tree that are the result.",
                ],
            ], required: ["summary", "deliverables"]))
    let phases: Set<Phase> = [.strategic]
    let isIdempotent = true

    func run(_ call: ToolCall) throws(ToolFailure) -> ToolResult {
        let summary = try call.input.text("summary")
        var deliverables: [String] = []
        for item in try call.input.list("deliverables") {
            guard let path = item.string, !path.isEmpty else {
                throw .refused(ToolRefusal("\"deliverables\" has \(item.text); paths are wanted."))
            }
            deliverables.append(path)
        }
        guard deliverables.count <= 1000 else { throw .refused(ToolRefusal("At most 1000 deliverables.")) }
        let open = call.state.todos.filter { !$0.status.isClosed }.map(\.id)
        guard open.isEmpty else {
            throw .refused(
                ToolRefusal("\(open.joined(separator: ", ")) are still open: begin_tactical and close them first."))
        }
        return ToolResult(
            "The job is being verified.",
            effects: [.completionClaimed(summary: summary, deliverables: deliverables)])
    }
}
