import Contracts

/// VERIFY: whether a job that is said to be complete is.
extension AgentLoop {
    /// Checks everything, and commits the verdict with what follows from it in one transaction. A process that is
    /// stopped in between commits nothing, and the next one checks again.
    ///
    /// - Returns: the end of this process, if the jail cannot be had.
    /// - Throws: `StoreError`.
    func verify() throws(StoreError) -> LoopEnd? {
        let state = ledger.state
        var passed = true
        var report: [String] = []
        func check(_ what: String, _ isGood: Bool, _ detail: String = "") {
            passed = passed && isGood
            report.append((isGood ? "passed: " : "failed: ") + what + (isGood || detail.isEmpty ? "" : "\n\(detail)"))
        }
        for path in state.claim?.deliverables ?? [] { check("the deliverable \(path) exists", tree.exists(path)) }
        for todo in state.todos { check("\(todo.id) is closed (\(todo.status.rawValue))", todo.status.isClosed) }
        for (index, (what, command)) in acceptance(of: state).enumerated() {
            let result: CommandResult
            do throws(JailUnavailable) {
                result = try commands.run(
                    ["bash", "-c", command], id: "verify.\(state.phaseNumber).\(index)", profile: .tactical,
                    timeout: settings.commandTimeout, attention: attention)
            } catch {
                return .noJail(error)
            }
            if result.interruption != nil { return nil }
            if let problem = result.missingJail { return .noJail(problem) }
            check("\(what) `\(command)`", result.report.end == .exited(0), String(result.output.suffix(4000)))
        }
        var events: [Event] = [.verified(.init(passed: passed, report: report))]
        if !passed {
            let number = state.phaseNumber + 1
            let brief = """
                Phase \(number), STRATEGIC: the job was verified and is not complete.
                \(report.joined(separator: "\n"))
                Find out why, stage what is missing with todo_stage, and call begin_tactical.
                """
            events.append(
                .phaseChanged(
                    .init(
                        from: .verify, to: .strategic, number: number, reason: "the verification failed", brief: brief))
            )
        }
        try ledger.commit(events)
        return nil
    }

    /// The commands that must pass, each with its name.
    private func acceptance(of state: JobState) -> [(String, String)] {
        var result: [(String, String)] = []
        for todo in state.todos where todo.status == .done {
            if let check = todo.check { result.append(("the check of \(todo.id)", check)) }
        }
        if let command = settings.acceptance { result.append(("AGENT_ACCEPTANCE", command)) }
        return result
    }
}
