package import Contracts
import Glibc
import LinuxSystem

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
    package var interruption: Interruption?
    /// What the jail refused, in words that the model can act on.
    package var refusals: [String] = []
}

/// Runs commands through `agent-jail`, one at a time.
package struct JailedCommands: Sendable {
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
    let janitors = Janitors()

    package init(program: String, folders: Folders, proxy: Settings.Proxy, limits: JailLimits = JailLimits()) {
        self.program = program
        self.folders = folders
        self.proxy = proxy
        network = NetworkSettings(proxy: proxy)
        self.limits = limits
    }

    /// Says that a command is likely to come: its janitor is started now, and its start is no part of the time that the
    /// command takes (docs/ARCHITECTURE.md, "The jail"). Takes half a millisecond; does nothing if one waits already.
    package func expectCommand(_ profile: JailProfile) {
        // Without the network's names: they are looked up when the command is there.
        janitors.expect(
            JailRequest(
                profile: profile, project: folders.project, home: folders.home, temporary: folders.temporary,
                timeout: 1000, grace: grace, command: ["true"]), program: program)
    }

    /// Runs `command` and returns when no process of it exists any more.
    ///
    /// Its output goes to `output_<job>/<id>.out`. On an interruption everything is killed at once.
    /// - Throws: `JailUnavailable` if the jail cannot be built: nothing has run.
    package func run(
        _ command: [String], id: String, profile: JailProfile, timeout: Int64, attention: any Attention
    ) throws(JailUnavailable) -> CommandResult {
        let spool = spool(id)
        do throws(SystemError) {
            let request = request(command, profile: profile, timeout: timeout)
            let process = try JailProcess(program: program, request, among: janitors)
            // While the command starts: its output waits in the pipe.
            var capture = OutputCapture(spoolPath: spool)
            var watch = Watch(process)
            // The janitor keeps the time limit; this one is for a janitor that hangs.
            let (allowed, overflow) = request.timeout.addingReportingOverflow(request.grace + 10000)
            watch.run(
                process, into: &capture, attention: attention,
                until: overflow ? .never : .after(milliseconds: allowed))
            let report = process.settle(report: watch.report)
            let text = capture.text
            return CommandResult(
                report: report, output: text, outputBytes: capture.bytes, outputLines: capture.lines,
                spooledBytes: capture.spooled, interruption: watch.interruption,
                refusals: refusals(report, output: text, profile: profile))
        } catch {
            throw JailUnavailable("the command cannot be started through \(program): \(error)")
        }
    }

    /// The file with the output of a call's command.
    func spool(_ id: String) -> String { "\(folders.outputs)/\(id).out" }

    /// What the jail is asked for: the same for the loop's tools and for `agent-init exec`.
    package func request(_ command: [String], profile: JailProfile, timeout: Int64) -> JailRequest {
        var proxy = proxy
        let granted = network.resolved(for: &proxy)
        var request = JailRequest(
            profile: profile, project: folders.project, home: folders.home, temporary: folders.temporary,
            network: granted, listening: network.listening, timeout: timeout, grace: grace,
            environment: environment.entries(folders: folders, proxy: proxy, network: network), command: command)
        request.limits = limits
        return request
    }
}
