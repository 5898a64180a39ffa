import Contracts
import Glibc
import LinuxSystem

/// VERIFY: whether a job that is said to be complete is.
extension AgentLoop {
    /// Checks everything, and commits the verdict with what follows from it in one transaction. A process that is
    /// stopped in between commits nothing, and the next one checks again.
    ///
    /// - Returns: the end of this process, if the jail cannot be had.
    /// - Throws: `StoreError`.
    func verify() throws(StoreError) -> LoopEnd? {
        let state = ledger.state
        var verdict = Verdict()
        for path in state.claim?.deliverables ?? [] {
            let isThere = tree.exists(path)
            verdict.missesDeliverable = verdict.missesDeliverable || !isThere
            verdict.add("the deliverable \(path) exists", isThere)
        }
        for todo in state.todos { verdict.add("\(todo.id) is closed (\(todo.status.rawValue))", todo.status.isClosed) }
        for (index, test) in acceptance(of: state).enumerated() {
            let result: CommandResult
            do throws(JailUnavailable) {
                result = try judge(test, id: "verify.\(state.phaseNumber).\(index)")
            } catch {
                return .noJail(error)
            }
            if result.interruption != nil { return nil }
            if let problem = result.missingJail { return .noJail(problem) }
            let told = result.described(timeoutSeconds: Int(settings.commandTimeout / 1000)).content
            verdict.add("\(test.name) `\(test.shown)`", result.report.end == .exited(0), String(told.suffix(4000)))
        }
        if let removed = commands.outputs.takeRemoved() { verdict.report.append(removed.words) }
        // A message that has come meanwhile is taken in first. This process may be told to stop: the next one checks again.
        if try attention.settle() { return nil }
        if ledger.state.isFinished { return nil }
        if ledger.state.hasUnreadInput {
            verdict.add("no message of the user has come since the claim", false, "Read it.")
        }
        try ledger.commit(events(of: verdict, state))
        return nil
    }

    /// What was found, in words.
    private struct Verdict {
        var passed = true
        var report: [String] = []
        var missesDeliverable = false

        mutating func add(_ what: String, _ isGood: Bool, _ detail: String = "") {
            passed = passed && isGood
            report.append((isGood ? "passed: " : "failed: ") + what + (isGood || detail.isEmpty ? "" : "\n\(detail)"))
        }
    }

    private func events(of verdict: Verdict, _ state: JobState) -> [Event] {
        let verified = Event.verified(
            .init(passed: verdict.passed, report: verdict.report, missedDeliverable: verdict.missesDeliverable))
        if verdict.passed { return [verified] }
        let number = state.phaseNumber + 1
        let brief = """
            Phase \(number), STRATEGIC: the job was verified and is not complete.
            \(verdict.report.joined(separator: "\n"))
            Checks run with the programs of the image, an empty home and no installed packages of the user's.
            Find out why, stage what is missing with todo_stage, and call begin_tactical.
            """
        return [
            verified,
            .phaseChanged(
                .init(from: .verify, to: .strategic, number: number, reason: "the verification failed", brief: brief)),
        ]
    }

    /// A command that must pass.
    private struct Test {
        let name: String
        let shown: String
        let program: Program

        enum Program {
            case shell(String)
            case script([UInt8])
        }
    }

    private func acceptance(of state: JobState) -> [Test] {
        var result: [Test] = []
        for todo in state.todos where todo.status == .done {
            guard let check = todo.check else { continue }
            result.append(Test(name: "the check of \(todo.id)", shown: check, program: .shell(check)))
        }
        switch acceptance {
        case nil: break
        case .command(let command):
            result.append(Test(name: "AGENT_ACCEPTANCE", shown: command, program: .shell(command)))
        case .script(let path, let text):
            result.append(Test(name: "AGENT_ACCEPTANCE_FILE", shown: path, program: .script(text)))
        }
        return result
    }

    /// Runs it where nothing of what it judges, beside the project tree itself, can speak in its place.
    private func judge(_ test: Test, id: String) throws(JailUnavailable) -> CommandResult {
        let command: [String]
        let judges: JailedCommands
        do throws(SystemError) {
            judges = try commands.asJudges()
            command =
                switch test.program {
                case .shell(let line): VerdictRoom.shell(line)
                case .script(let text): try judges.place(script: text)
                }
        } catch {
            return CommandResult(notStarted: error)
        }
        return try judges.run(
            command, id: id, profile: .tactical, timeout: settings.commandTimeout, attention: attention)
    }
}
