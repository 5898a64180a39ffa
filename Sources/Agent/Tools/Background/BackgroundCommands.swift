import Contracts
import LinuxSystem

/// The commands that the model has started in the background: each outlives its call, and none its phase.
///
/// At most `limit` at once, each with a time limit that its janitor keeps and a spool with a cap. They are children of
/// this process in jails of their own, and end with it, since their control pipes do. Used from the loop's thread; the
/// loop's waits poll `descriptors` and call `pump`.
package final class BackgroundCommands {
    private let commands: JailedCommands
    /// The most that one may ask for, in milliseconds.
    let longest: Int64
    private var running: [BackgroundCommand] = []
    /// Ended, and not yet in the journal.
    private var ended: [BackgroundCommand] = []
    /// Ended, and still to be asked about; the oldest go first.
    private var past: [BackgroundCommand] = []
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 4096)

    static let limit = 4
    private static let pastLimit = 8

    package init(commands: JailedCommands, longest: Int64) {
        self.commands = commands
        self.longest = longest
    }

    deinit { buffer.deallocate() }

    package var descriptors: [Int32] { running.flatMap(\.descriptors) }

    /// Takes in what the commands have printed and which have ended, without waiting.
    package func pump() {
        guard !running.isEmpty else { return }
        for command in running { command.pump(buffer) }
        sort()
    }

    private func sort() {
        let over = running.filter { $0.result != nil }
        guard !over.isEmpty else { return }
        running.removeAll { $0.result != nil }
        ended += over
        past = (past + over).suffix(Self.pastLimit)
    }

    var isFull: Bool { running.count >= Self.limit }
    var ids: [String] { running.map(\.id) }

    /// Starts a command.
    ///
    /// - Throws: `ToolFailure`: refused if the pod has no process or memory left for it, `noJail` if agent-jail cannot be
    ///   started.
    func start(_ text: String, id: String, profile: JailProfile, timeout: Int64) throws(ToolFailure)
        -> BackgroundCommand
    {
        _ = commands.folders.mend(program: commands.program)
        do throws(SystemError) {
            var request = commands.request(["bash", "-c", text], profile: profile, timeout: timeout)
            // The one in the foreground goes first when the pod's memory runs out: it is the likelier one, and there is no
            // time to find out.
            request.limits.memoryPercent += (100 - request.limits.memoryPercent) / 3
            let process = try JailProcess(program: commands.program, request, among: commands.janitors)
            let command = BackgroundCommand(
                id: id, text: text, timeout: timeout, process: process,
                capture: OutputCapture(spoolPath: commands.spool(id), among: commands.outputs), of: commands,
                profile: profile)
            running.append(command)
            return command
        } catch {
            guard error.isScarcity else { throw .noJail(commands.unavailable(error)) }
            throw .refused(ToolRefusal("Not run: \(error). \(CommandResult.scarcityAdvice)"))
        }
    }

    /// Drops one that never ran, so that the journal need not say that it ended.
    func forget(_ command: BackgroundCommand) {
        ended.removeAll { $0 === command }
        past.removeAll { $0 === command }
    }

    /// Waits for what a command does first: its end, or until the deadline, or an interruption.
    func watch(_ command: BackgroundCommand, attention: any Attention, until deadline: Deadline) {
        while command.result == nil, !deadline.hasPassed, attention.attend() == nil {
            _ = try? waitReadable(command.descriptors + attention.descriptors, until: deadline)
            pump()
        }
    }

    subscript(id: String) -> BackgroundCommand? {
        pump()
        return (running + past).last { $0.id == id }
    }

    /// Kills one on the model's wish, and waits until nothing of it is left.
    func kill(_ command: BackgroundCommand) {
        guard command.result == nil else { return }
        command.end(buffer)
        sort()
    }

    /// Ends all that run, so that another command can be started. They are among those that `takeEnded` gives next.
    ///
    /// - Returns: whether any ran.
    package func endForRoom() -> Bool {
        pump()
        let last = running
        for command in last {
            command.end(buffer)
            command.gaveRoom = true
        }
        sort()
        return !last.isEmpty
    }

    /// Those that have ended since the last call, as events for the journal.
    package func takeEnded() -> [Event] {
        pump()
        defer { ended = [] }
        return ended.map { event(of: $0, how: $0.gaveRoom ? .scarcity : $0.wasKilled ? .killed : .finished) }
    }

    /// Ends all that still run.
    ///
    /// - Returns: what there is to tell the journal, of those that had ended before too.
    package func endAll(_ how: Event.BackgroundEnded.How) -> [Event] {
        var events = takeEnded()
        let last = running
        for command in last { command.end(buffer) }
        sort()
        ended = []
        events += last.map { event(of: $0, how: how) }
        return events
    }

    private func event(of command: BackgroundCommand, how: Event.BackgroundEnded.How) -> Event {
        let result = command.result?.described(timeoutSeconds: Int(command.timeout / 1000))
        var text = ""
        switch how {
        case .killed: break
        case .finished: text = "The background command \(command.id) (`\(command.shortText)`) has ended: "
        case .phase: text = "The background command \(command.id) (`\(command.shortText)`) was ended with the phase. "
        case .stopped:
            text =
                "The background command \(command.id) (`\(command.shortText)`) is no longer running: the process was "
                + "told to stop. "
        case .scarcity:
            text =
                "The background command \(command.id) (`\(command.shortText)`) was ended: the pod had no process or memory "
                + "left to start another command. "
        case .lost, .job: break
        }
        if how == .finished { text += result?.content.clipped(4000) ?? "" }
        if [.phase, .stopped, .scarcity].contains(how) {
            text += "It had printed \(command.printed.bytes) bytes:\n" + command.printed.text.clipped(4000)
        }
        var facts = result?.facts ?? [:]
        if let removed = commands.outputs.takeRemoved() {
            text += (text.isEmpty || text.hasSuffix("\n") ? "" : "\n") + removed.words
            facts.merge(removed.facts) { $1 }
        }
        return .backgroundEnded(.init(call: command.id, how: how, content: text, facts: facts))
    }
}

extension BackgroundCommand {
    /// The command line, short enough to name it by.
    var shortText: String { text.clipped(200) }
}

extension String {
    /// The end of a text that is longer than so many bytes, with a mark; else the text.
    func clipped(_ limit: Int) -> String {
        utf8.count <= limit ? self : "…" + String(decoding: utf8.suffix(limit), as: UTF8.self)
    }
}
