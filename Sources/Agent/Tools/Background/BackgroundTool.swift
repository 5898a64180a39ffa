import Events
import LinuxSystem

/// Looks after a command that runs in the background.
struct BackgroundTool: Tool {
    let background: BackgroundCommands
    let specification = ToolSpecification(
        name: "background",
        description: """
            Look at a command that was started by execute with background: true ("status": whether it runs, and what it \
            has printed), or end it with all its processes ("kill").
            """,
        inputSchema: schema(
            [
                "action": ["type": "string", "enum": ["status", "kill"], "description": "status or kill."],
                "id": property("string", "The id that execute gave."),
            ], required: ["action", "id"]))
    let phases: Set<Phase> = [.strategic, .tactical]
    // Looking twice is as good as once, and so is killing.
    let isIdempotent = true

    func run(_ call: ToolCall) throws(ToolFailure) -> ToolResult {
        let action = try call.input.text("action")
        let id = try call.input.text("id")
        guard action == "status" || action == "kill" else {
            throw .refused(ToolRefusal("The action \"\(action)\" is unknown; there are status and kill."))
        }
        guard let command = background[id] else {
            let known = background.ids
            let others = known.isEmpty ? "None is running." : "There are \(known.joined(separator: ", "))."
            throw .refused(ToolRefusal("There is no background command \(id), or it ended long ago. \(others)"))
        }
        if action == "kill" { background.kill(command) }
        guard let result = command.result else {
            let (text, bytes, lines) = command.printed
            let seconds = (Clock.monotonic - command.began) / 1000
            return ToolResult(
                "\(id) is running, for \(seconds) s of at most \(command.timeout / 1000). It has printed \(bytes) bytes "
                    + "in \(lines) lines\(bytes == 0 ? "." : ":\n" + text)",
                facts: ["output_bytes": .int(Int64(bytes)), "output_lines": .int(Int64(lines)), "running": true])
        }
        var described = result.described(timeoutSeconds: Int(command.timeout / 1000))
        described.content =
            command.wasKilled
            ? "\(id) is killed, with all its processes. It had printed:\n\(result.output)"
            : "\(id) has ended: \(described.content)"
        // How the command ended is not how this call did.
        described.outcome = .done
        return described
    }
}

extension ExecuteTool {
    /// Starts the command and says what it did first.
    func runInBackground(_ command: String, _ call: ToolCall) throws(ToolFailure) -> ToolResult {
        let most = Int(background.longest / 1000)
        let seconds = try call.input.number("timeout_seconds", 1...most, default: most)
        guard !background.isFull else {
            throw .refused(
                ToolRefusal(
                    "\(BackgroundCommands.limit) background commands are running (\(background.ids.joined(separator: ", "))),"
                        + " and there can be no more: kill one first."))
        }
        let started = try background.start(
            command, id: call.id, profile: call.state.phase.commandProfile, timeout: Int64(seconds) * 1000)
        // Long enough to see a command that fails at once, and what a server says when it is ready.
        background.watch(started, attention: call.attention, until: .after(milliseconds: 300))
        if let problem = started.result?.missingJail {
            background.forget(started)
            throw .noJail(problem)
        }
        let effect = Effect.backgroundStarted(id: call.id, command: started.shortText)
        let (text, bytes, _) = started.printed
        return ToolResult(
            "It runs in the background as \(call.id), until the end of this phase or for \(seconds) s. "
                + (bytes == 0 ? "It has printed nothing yet." : "It has printed:\n\(text)"),
            effects: [effect], facts: ["background": .string(call.id)])
    }
}
