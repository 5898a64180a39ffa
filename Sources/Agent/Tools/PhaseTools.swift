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
    /// Whether the configuration has a command or script that must pass.
    let hasAcceptance: Bool
    let specification = ToolSpecification(
        name: "job_complete",
        description: """
            Say that the job is done. Something must show it: a todo that is done, a deliverable, or an acceptance command of \
            the job. It is then verified: every deliverable exists in the project tree, no todo is open, every todo's \
            check and the acceptance command pass. If not, you are told what failed.
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
        guard !call.state.hasUnreadInput else {
            throw .refused(
                ToolRefusal("The user has sent a message that you have not read. It follows: read it first."))
        }
        if deliverables.isEmpty { try refuseWithoutProof(call.state) }
        return ToolResult(
            "The job is being verified.",
            effects: [.completionClaimed(summary: summary, deliverables: deliverables)])
    }

    /// Refuses a claim without deliverables that nothing shows, or that only leaves out what was missed before.
    private func refuseWithoutProof(_ state: JobState) throws(ToolFailure) {
        if state.missedDeliverable {
            throw .refused(
                ToolRefusal(
                    "The claim before named a deliverable that is not there. Make it, and name the deliverables that there "
                        + "are: without one the claim is not accepted."))
        }
        guard hasAcceptance || state.todos.contains(where: { $0.status == .done }) else {
            throw .refused(
                ToolRefusal(
                    "Nothing shows that the job is done: there is no todo that is done, no deliverable and no acceptance "
                        + "command. Name the files that are the result in \"deliverables\", or stage a todo with a check, do "
                        + "it, and close it."))
        }
    }
}
