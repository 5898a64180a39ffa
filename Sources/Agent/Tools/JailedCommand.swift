package import Contracts
import Glibc
package import LinuxSystem

/// What came of a command in the jail.
package struct CommandResult: Equatable, Sendable {
    package var report: JailReport
    /// Standard output and standard error in the order in which they came, shortened for the model.
    package var output: String
    package var outputBytes: Int
    package var outputLines: Int
    /// How much of the output, from its beginning, the spool file holds.
    package var spooledBytes: Int
    /// Why the command was ended from outside, if it was.
    package var interruption: Interruption? = nil
    /// What the jail refused, in words that the model can act on.
    package var refusals: [String] = []
    /// What the agent had to mend after the command, in words.
    package var mended: [String] = []
    /// Older outputs that went to make room, since the last result that said so.
    package var removed: KeptOutputs.Removal? = nil
}

extension CommandResult {
    /// Of a command that could not be started: nothing of it has run.
    init(notStarted error: SystemError) {
        self.init(
            report: JailReport(end: .notStarted(.start, errno: error.code, message: "\(error)")), output: "",
            outputBytes: 0, outputLines: 0, spooledBytes: 0)
    }
}

/// Runs commands through `agent-jail`, one at a time.
package struct JailedCommands {
    /// The `agent-jail` program.
    package var program: String
    package var folders: Folders
    package var proxy: Settings.Proxy
    /// What commands may connect to; by default the proxy, if there is one.
    package var network: NetworkSettings
    /// What a command finds in its environment.
    package var environment = CommandEnvironment()
    /// From SIGTERM to SIGKILL at a time limit, in milliseconds.
    package var grace: Int64 = 2000
    package var limits: JailLimits
    /// Ends what can be ended so that another command can be started; whether there was something.
    package var relief: () -> Bool = { false }
    /// Where the outputs of all commands lie.
    package let outputs: KeptOutputs
    let janitors = Janitors()
    /// Where these commands run, if their verdict counts.
    private var room: VerdictRoom?

    package init(program: String, folders: Folders, proxy: Settings.Proxy, limits: JailLimits = JailLimits()) {
        self.program = program
        self.folders = folders
        self.proxy = proxy
        network = NetworkSettings(proxy: proxy)
        self.limits = limits
        outputs = KeptOutputs(folder: folders.outputs)
    }

    /// Says that a command is likely to come: its janitor is started now, and its start is no part of the time that the
    /// command takes (docs/ARCHITECTURE.md, "The jail"). Takes half a millisecond; does nothing if one waits already.
    package func expectCommand(_ profile: JailProfile) {
        // Without the network's names: they are looked up when the command is there.
        var request = JailRequest(
            profile: profile, project: folders.project, home: folders.home, temporary: folders.temporary,
            timeout: 1000, grace: grace, command: ["true"])
        request.tools = folders.tools
        janitors.expect(request, program: program)
    }

    /// The same commands as judges: for programs whose verdict counts (`VerdictRoom`).
    ///
    /// - Throws: `SystemError` if the room cannot be made.
    package func asJudges() throws(SystemError) -> JailedCommands {
        let room = VerdictRoom(folder: folders.verdicts)
        try room.prepare()
        var judges = self
        judges.room = room
        return judges
    }

    /// Lays a script into the judges' room, and returns the words that run it: itself if its first line names what to run
    /// it with (execve(2), "Interpreter scripts"), else bash.
    ///
    /// - Throws: `SystemError`.
    func place(script: [UInt8]) throws(SystemError) -> [String] {
        let path = (room?.folder ?? folders.verdicts) + "/acceptance"
        let file = Descriptor(
            adopting: try retrying("open", subject: path) {
                open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o500)
            })
        try writeAll(file.number, script)
        return script.starts(with: "#!".utf8) ? [path] : [VerdictRoom.program("bash"), path]
    }

    /// Runs `command` and returns when no process of it exists any more.
    ///
    /// Its output goes to `output_<job>/<id>.out`. On an interruption everything is killed at once. While the pod has no
    /// process, memory or descriptor left for it, `relief` is asked to make room, and it is tried again for some seconds.
    /// - Throws: `JailUnavailable` if the jail cannot be built: nothing has run.
    package func run(
        _ command: [String], id: String, profile: JailProfile, timeout: Int64, attention: any Attention
    ) throws(JailUnavailable) -> CommandResult {
        var pause: Int64 = 100
        while true {
            let result = try runOnce(command, id: id, profile: profile, timeout: timeout, attention: attention)
            guard result.report.end.isScarcity, result.interruption == nil else { return result }
            if relief() { continue }
            guard pause <= 1600 else { return result }
            let deadline = Deadline.after(milliseconds: pause)
            while !deadline.hasPassed {
                if attention.attend() != nil { return result }
                _ = try? waitReadable(attention.descriptors, until: deadline)
            }
            pause *= 2
        }
    }

    private func runOnce(
        _ command: [String], id: String, profile: JailProfile, timeout: Int64, attention: any Attention
    ) throws(JailUnavailable) -> CommandResult {
        _ = folders.mend(program: program)
        let spool = spool(id)
        let request = request(command, profile: profile, timeout: timeout)
        do throws(SystemError) {
            let process = try JailProcess(program: program, request, among: janitors)
            // While the command starts: its output waits in the pipe.
            var capture = OutputCapture(spoolPath: spool, among: outputs)
            var watch = Watch(process)
            // The janitor keeps the time limit; this one is for a janitor that hangs.
            let (allowed, overflow) = request.timeout.addingReportingOverflow(request.grace + 10000)
            watch.run(
                process, into: &capture, attention: attention,
                until: overflow ? .never : .after(milliseconds: allowed))
            let report = process.settle(report: watch.report)
            capture.close()
            let text = capture.text
            return CommandResult(
                report: report, output: text, outputBytes: capture.bytes, outputLines: capture.lines,
                spooledBytes: capture.spooled, interruption: watch.interruption,
                refusals: refusals(report, output: text, profile: profile), mended: folders.mend(program: program))
        } catch {
            guard error.isScarcity else { throw unavailable(error) }
            return CommandResult(notStarted: error)
        }
    }

    /// That agent-jail cannot be started, for a reason that the platform has to mend.
    func unavailable(_ error: SystemError) -> JailUnavailable {
        JailUnavailable("the command cannot be started through \(program): \(error)")
    }

    /// The file with the output of a call's command.
    func spool(_ id: String) -> String { "\(folders.outputs)/\(id).out" }

    /// What the jail is asked for: the same for the loop's tools and for `agent-init exec`.
    package func request(_ command: [String], profile: JailProfile, timeout: Int64) -> JailRequest {
        var proxy = proxy
        let granted = network.resolved(for: &proxy)
        var request = JailRequest(
            profile: profile, project: folders.project, home: room?.folder ?? folders.home,
            temporary: folders.temporary, network: granted, listening: network.listening, timeout: timeout,
            grace: grace, environment: entries(proxy), command: command)
        request.tools = folders.tools
        request.limits = limits
        return request
    }

    private func entries(_ proxy: Settings.Proxy) -> [String] {
        guard let room else { return environment.entries(folders: folders, proxy: proxy, network: network) }
        return environment.entries(in: room, folders: folders, proxy: proxy, network: network)
    }
}

extension JailReport.End {
    /// Whether the command could not be started because processes, memory or descriptors are used up. A command can do
    /// that, and it passes: it is not that the jail cannot be had.
    var isScarcity: Bool {
        guard case .notStarted(_, let code, _) = self else { return false }
        return SystemError("", code: code).isScarcity
    }
}

extension SystemError {
    /// Whether a process, memory or a descriptor could not be had.
    var isScarcity: Bool { [EAGAIN, ENOMEM, EMFILE, ENFILE].contains(code) }
}
