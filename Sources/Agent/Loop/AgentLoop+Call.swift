import Contracts
import LinuxSystem

/// The calls of an answer.
extension AgentLoop {
    /// Runs one call: `started` is on the disk before anything happens, the result before anything else happens.
    ///
    /// - Returns: the end of this process, if the jail cannot be had.
    /// - Throws: `StoreError`.
    func run(_ open: OpenCall) throws(StoreError) -> LoopEnd? {
        let call = open.call
        let state = ledger.state
        guard let tool = tools[call.tool] else {
            let known = tools.offered(in: state.phase).map(\.name).joined(separator: ", ")
            try finish(call, ToolResult("There is no tool \(call.tool); there are \(known).", outcome: .refused))
            return nil
        }
        guard tool.phases.contains(state.phase) else {
            let text = "\(call.tool) is not available in the \(state.phase.rawValue) phase."
            try finish(call, ToolResult(text, outcome: .refused))
            return nil
        }
        #if !WITHOUT_STARTED
            try ledger.commit(.callStarted(.init(call: call.id, attempt: open.attempt + 1)))
        #endif
        let start = Clock.monotonic
        let result: ToolResult
        do throws(ToolFailure) {
            let input = try ToolInput(call.input)
            result = try tool.run(ToolCall(id: call.id, input: input, state: state, attention: attention))
        } catch {
            switch error {
            case .refused(let refusal):
                try finish(call, ToolResult(refusal.message, outcome: .refused))
                return nil
            case .noJail(let problem):
                try finish(call, ToolResult("Not run: the jail could not be built.", outcome: .refused))
                return .noJail(problem)
            }
        }
        try finish(call, result, duration: Clock.monotonic - start)
        return nil
    }

    private func finish(_ call: Event.Call, _ result: ToolResult, duration: Int64 = 0) throws(StoreError) {
        try ledger.commit(
            .callFinished(
                .init(
                    call: call.id, outcome: result.outcome, content: result.content, effects: result.effects,
                    facts: result.facts, duration: duration)))
    }

    /// Gives a call that was running when its process died the one result that is true of it.
    ///
    /// - Throws: `StoreError`.
    func settle(_ open: OpenCall) throws(StoreError) {
        var text = """
            interrupted: this call was running when its process was killed, and has not been run again. What it did until then \
            stands, and may be a part of what it should have done. Look before you repeat it.

            """
        let spool = "\(settings.folders.outputs)/\(open.call.id).out"
        if open.call.tool == "execute" {
            // Without a file (a full disk, a fork) nobody knows.
            let output = OutputCapture.text(ofSpool: spool)
            let printed =
                switch output {
                case nil: "It had printed nothing that was kept."
                case "": "It had printed nothing."
                case let output?: "What it had printed:\n\(output)"
                }
            text += printed + "\n"
        }
        let changed = tree.changed(since: open.startedAt, limit: 50)
        if open.startedAt > Clock.wall {
            // Files have the kernel's time. A call that began later than it is now began by another clock.
            text += "Which files have changed since it began is not known: the clock was set back."
        } else if changed.isEmpty {
            text += "No file of the project tree has changed since it began."
        } else {
            text += "Files of the project tree that have changed since it began: \(changed.joined(separator: ", "))"
        }
        try finish(open.call, ToolResult(text, outcome: .interrupted))
    }
}

extension AgentLoop {
    /// Records of a background command that it ended with its process.
    ///
    /// - Throws: `StoreError`.
    func settle(_ gone: JobState.Background) throws(StoreError) {
        let printed = OutputCapture.text(ofSpool: commands.spool(gone.id)) ?? ""
        let text = """
            The background command \(gone.id) (`\(gone.command)`) is no longer running: the process that it belonged to \
            was killed, and everything of it with it. \
            \(printed.isEmpty ? "It had printed nothing." : "What it had printed:\n\(printed.clipped(4000))")
            """
        try ledger.commit(.backgroundEnded(.init(call: gone.id, how: .lost, content: text)))
    }
}

extension LoopEnd {
    /// The end of a process that cannot have its jail.
    package static func noJail(_ problem: JailUnavailable) -> LoopEnd {
        LoopEnd(
            .notPermitted, outcome: "not_permitted",
            reason: "the jail cannot be had, and nothing runs without it: \(problem)")
    }
}
