import Contracts
import Events
import LinuxSystem

/// Runs a shell command in the jail.
struct ExecuteTool: Tool {
    let commands: JailedCommands
    /// The most that a call may ask for, in milliseconds.
    let longest: Int64
    let background: BackgroundCommands
    var specification: ToolSpecification {
        let tools = commands.folders.tools
        let also = tools.isEmpty ? "" : " It can also read, and run programs in, \(tools.joined(separator: " and "))."
        return Self.specification(also)
    }

    private static func specification(_ also: String) -> ToolSpecification {
        ToolSpecification(
            name: "execute",
            description: """
                Run a command with bash in the project tree. It may write only to the project tree (read-only in the \
                strategic phase), the home, /dev/shm and the folder $TMPDIR. It connects only to what the configuration \
                allows, mostly a proxy that is set in its environment, and to servers that commands start themselves. \
                Everything it started is ended when it ends. Long output is shortened in the middle. With background: true \
                it goes on while you do other things, until the phase ends at the latest; see the tool background.\(also)
                """,
            inputSchema: schema(
                [
                    "command": property("string", "The command line for bash -c."),
                    "timeout_seconds": property("integer", "The time limit; 120 if not given."),
                    "background": property("boolean", "Start it and return at once, for servers and long builds."),
                ], required: ["command"]))
    }

    let phases: Set<Phase> = [.strategic, .tactical]
    // What a shell command did before it was cut off, nobody knows: it is never run again by itself.
    let isIdempotent = false

    func run(_ call: ToolCall) throws(ToolFailure) -> ToolResult {
        let command = try call.input.text("command")
        guard command.utf8.count <= 100_000, !command.utf8.contains(0) else {
            throw .refused(ToolRefusal("The command is longer than 100,000 bytes or has a NUL byte; write a script."))
        }
        if try call.input.flag("background") { return try runInBackground(command, call) }
        let most = Int(longest / 1000)
        let seconds = try call.input.number("timeout_seconds", 1...most, default: min(120, most))
        let result = try commands.run(
            ["bash", "-c", command], call: call, profile: call.state.phase.commandProfile,
            timeout: Int64(seconds) * 1000)
        return result.described(timeoutSeconds: seconds)
    }
}

/// Searches the project tree, with grep in the jail.
struct SearchTool: Tool {
    let commands: JailedCommands
    let specification = ToolSpecification(
        name: "search",
        description: "Search the text files of the project tree for an extended regular expression, with grep.",
        inputSchema: schema(
            [
                "pattern": property("string", "The extended regular expression."),
                "path": property("string", "A file or folder, relative to the project tree; all of it if not given."),
            ], required: ["pattern"]))
    let phases: Set<Phase> = [.strategic, .tactical]
    let isIdempotent = true

    func run(_ call: ToolCall) throws(ToolFailure) -> ToolResult {
        let pattern = try call.input.word("pattern")
        let path = try call.input.optionalWord("path") ?? "."
        let result = try commands.look(
            [VerdictRoom.program("grep"), "-rnIE", "--exclude-dir=.git", "-e", pattern, "--", path], call: call)
        // 1 is grep's word for no match.
        if result.report.end == .exited(1), result.outputBytes == 0 { return ToolResult("No match.") }
        return result.described(timeoutSeconds: 60)
    }
}

/// Lists files of the project tree, with find in the jail.
struct ListFilesTool: Tool {
    let commands: JailedCommands
    let specification = ToolSpecification(
        name: "list_files",
        description: "List the files below a folder of the project tree with their sizes, without .git.",
        inputSchema: schema(
            ["path": property("string", "The folder, relative to the project tree; all of it if not given.")],
            required: []))
    let phases: Set<Phase> = [.strategic, .tactical]
    let isIdempotent = true

    func run(_ call: ToolCall) throws(ToolFailure) -> ToolResult {
        let path = try call.input.optionalWord("path") ?? "."
        guard !path.hasPrefix("-") else { throw .refused(ToolRefusal("A path does not begin with \"-\"; use ./-…")) }
        let result = try commands.look(
            [
                VerdictRoom.program("find"), path, "-name", ".git", "-prune", "-o", "-type", "f", "-printf",
                "%P\\t%s bytes\\n",
            ], call: call)
        if result.report.end == .exited(0), result.outputBytes == 0 { return ToolResult("There are no files.") }
        return result.described(timeoutSeconds: 60)
    }
}

extension JailedCommands {
    /// Runs a program of the image that looks at the project tree for a tool of ours: nothing that a command has put
    /// anywhere speaks in its place.
    fileprivate func look(_ command: [String], call: ToolCall) throws(ToolFailure) -> CommandResult {
        let judges: JailedCommands
        do throws(SystemError) {
            judges = try asJudges()
        } catch {
            throw .refused(ToolRefusal("Not run: the folder of its own that it needs cannot be made (\(error))."))
        }
        return try judges.run(command, call: call, profile: .strategic, timeout: 60000)
    }

    fileprivate func run(
        _ command: [String], call: ToolCall, profile: JailProfile, timeout: Int64
    ) throws(ToolFailure) -> CommandResult {
        var result: CommandResult
        do throws(JailUnavailable) {
            result = try run(command, id: call.id, profile: profile, timeout: timeout, attention: call.attention)
        } catch {
            throw .noJail(error)
        }
        // Whatever part of the jail could not be built: nothing may go on without it.
        if let problem = result.missingJail { throw .noJail(problem) }
        result.removed = outputs.takeRemoved()
        return result
    }
}

extension CommandResult {
    /// Why the jail cannot be had, if that is how it ended. A program that cannot be executed is a failure of the command
    /// alone, and so is a pod whose processes or memory are used up: commands can do that, and it passes.
    package var missingJail: JailUnavailable? {
        guard case .notStarted(let stage, _, let message) = report.end, stage != .execute, !report.end.isScarcity else {
            return nil
        }
        return JailUnavailable("\(stage.rawValue): \(message)")
    }

    static let scarcityAdvice =
        "Processes, memory or descriptors of this pod are used up: end what runs in the background, and use fewer at a time"

    /// The result as the model and the log see it.
    func described(timeoutSeconds: Int) -> ToolResult {
        var facts: [String: JSON] = [
            "output_bytes": .int(Int64(outputBytes)), "output_lines": .int(Int64(outputLines)),
            "spooled_bytes": .int(Int64(spooledBytes)), "killed": .int(Int64(report.killed)),
            "user_ms": .int(report.user), "system_ms": .int(report.system),
            "max_rss_kb": .int(report.maximumResident),
        ]
        var outcome = Event.CallFinished.Outcome.done
        let headline: String
        switch report.end {
        case .exited(let code):
            facts["exit_code"] = .int(Int64(code))
            if code != 0 { outcome = .failed }
            headline = "exit code \(code)"
        case .signaled(let signal):
            facts["signal"] = .int(Int64(signal))
            outcome = .failed
            headline = "ended by signal \(signal)"
        case .timedOut:
            outcome = .failed
            headline = "ended after its time limit of \(timeoutSeconds) s; give timeout_seconds if it needs longer"
        case .cancelled:
            outcome = .interrupted
            headline = "interrupted: the process was told to stop while the command ran"
        case .exhausted(let resource, let message):
            facts["exhausted"] = .string(resource.rawValue)
            outcome = .failed
            let largest = resource == .memory ? ", its largest process held \(report.maximumResident / 1024) MiB" : ""
            headline = "the command was ended: \(message)\(largest); \(resource.advice)"
        case .notStarted(_, _, let message):
            facts["started"] = false
            outcome = .failed
            headline = "not run: \(message)\(report.end.isScarcity ? ". \(Self.scarcityAdvice)" : "")"
        case .lost(_, let message):
            facts["lost"] = true
            outcome = .failed
            headline =
                "its end is not known: \(message). It may have done all or a part of its work: look before you repeat it"
        }
        var text = headline + "\n"
        text += mended.map { "\($0)\n" }.joined()
        if report.killed > 0 { text += "\(report.killed) background processes were killed at its end\n" }
        if spooledBytes < outputBytes {
            text += "of its \(outputBytes) bytes of output only the first \(spooledBytes) are kept in the log's file\n"
        }
        if let removed {
            facts.merge(removed.facts) { $1 }
            text += "\(removed.words)\n"
        }
        if !report.violations.all.isEmpty { facts["refused"] = .array(report.violations.all.map(\.json)) }
        if !refusals.isEmpty {
            facts["refusals"] = .array(refusals.map { .string($0) })
            text += refusals.map { "the jail refused: \($0)\n" }.joined()
        }
        return ToolResult(text + output, outcome: outcome, facts: facts)
    }
}

extension JailReport.Resource {
    /// What a model can do about it.
    fileprivate var advice: String {
        switch self {
        case .memory: "use less at a time: smaller pieces, fewer processes side by side, no files in /dev/shm"
        case .disk: "remove what is not needed before you go on"
        }
    }
}

extension Phase {
    /// What a command of this phase may do.
    var commandProfile: JailProfile { self == .strategic ? .strategic : .tactical }
}
