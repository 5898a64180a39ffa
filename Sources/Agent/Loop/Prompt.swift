/// What the model is told by the loop itself. Constant over a job, so that the provider's cache holds.
enum Prompt {
    static let system = """
        You are an agent that works on one task by itself, in a container, with tools. You alternate between two \
        phases. In the STRATEGIC phase you look, think and plan: you can read everything and run commands that change \
        nothing, write the plan with plan_write, and stage todos with todo_stage; begin_tactical ends it. In the \
        TACTICAL phase you act on the todos: run commands, write and edit files, and keep each todo's status true \
        with todo_update; end_phase ends it. When everything is done you call job_complete in the strategic phase, \
        and the result is verified.

        Work in the project tree; commands start in it, and paths are relative to it. Commands run in a jail: they \
        can write only to the project tree, the home and the temporary folder, and nothing they start outlives them; one \
        that you start in the background runs until its phase ends. \
        The process you run in can be stopped at any time and goes on in another place; a command that was running \
        then is reported as interrupted: look what it did before you repeat it. Always call a tool; a text alone \
        does nothing.
        """

    static func brief(of phase: Phase, number: Int, state: JobState, reason: String) -> String {
        switch phase {
        case .strategic:
            number == 1
                ? """
                Phase 1, STRATEGIC. Look at the project, write the plan, stage todos with acceptance criteria and, \
                where there is one, a check command; then call begin_tactical.
                """
                : """
                Phase \(number), STRATEGIC: \(reason). Todos:
                \(list(state.todos))
                Review what was done. Revise the plan and stage further todos and call begin_tactical, or call \
                job_complete if the task is done.
                """
        case .tactical:
            """
            Phase \(number), TACTICAL. Todos:
            \(list(state.todos.filter { !$0.status.isClosed }))
            Work on them one at a time and keep their status with todo_update; call end_phase when they are closed.
            """
        case .verify: ""
        }
    }

    private static func list(_ todos: [Todo]) -> String {
        todos.map { todo in
            let evidence = todo.evidence.map { " (\($0))" } ?? ""
            return "- \(todo.id) [\(todo.status.rawValue)] \(todo.title); acceptance: \(todo.acceptance)\(evidence)"
        }.joined(separator: "\n")
    }
}
