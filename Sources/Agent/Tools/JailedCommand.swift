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
    /// The file with the whole output.
    package var spool: String
    /// Why the command was ended from outside, if it was.
    package var interruption: Interruption?
}

/// Runs commands through `agent-jail`, one at a time.
package struct JailedCommands: Sendable {
    /// The `agent-jail` program.
    package var program: String
    package var folders: Folders
    package var proxy: Settings.Proxy
    /// What a command finds in its environment.
    package var environment = CommandEnvironment()
    /// From SIGTERM to SIGKILL at a time limit, in milliseconds.
    package var grace: Int64 = 2000

    package init(program: String, folders: Folders, proxy: Settings.Proxy) {
        self.program = program
        self.folders = folders
        self.proxy = proxy
    }

    /// Runs `command` and returns when no process of it exists any more.
    ///
    /// Its output goes to `output_<job>/<id>.out`. On an interruption everything is killed at once.
    /// - Throws: `JailUnavailable` if the jail cannot be built: nothing has run.
    package func run(
        _ command: [String], id: String, profile: JailProfile, timeout: Int64, attention: any Attention
    ) throws(JailUnavailable) -> CommandResult {
        let request = request(command, profile: profile, timeout: timeout)
        let spool = "\(folders.outputs)/\(id).out"
        do throws(SystemError) {
            var capture = try OutputCapture(spoolPath: spool)
            let (report, interruption) = try supervise(request, into: &capture, attention: attention)
            return CommandResult(
                report: report, output: capture.text, outputBytes: capture.bytes, outputLines: capture.lines,
                spool: spool, interruption: interruption)
        } catch {
            throw JailUnavailable("the command cannot be started through \(program): \(error)")
        }
    }

    /// What the jail is asked for: the same for the loop's tools and for `agent-init exec`.
    package func request(_ command: [String], profile: JailProfile, timeout: Int64) -> JailRequest {
        JailRequest(
            profile: profile, project: folders.project, home: folders.home, temporary: folders.temporary,
            proxyPort: proxy.localPort, timeout: timeout, grace: grace,
            environment: environment.entries(folders: folders, proxy: proxy), command: command)
    }

    private func supervise(
        _ request: JailRequest, into capture: inout OutputCapture, attention: any Attention
    ) throws(SystemError) -> (JailReport, Interruption?) {
        let null = Descriptor(
            adopting: try retrying("open", subject: "/dev/null") { open("/dev/null", O_RDONLY | O_CLOEXEC) })
        var output = try Pipe()
        let janitor = try JanitorProcess(
            program: program, request, input: null.number, output: output.writer.number, errors: output.writer.number)
        // Our copy of the child's end must go, or no end of file would ever come.
        output.writer = Descriptor(adopting: -1)
        var watch = Watch(
            output: output.reader.number, reports: janitor.reports.number, control: janitor.control.number)
        watch.run(into: &capture, attention: attention, until: janitor.limit)
        return (janitor.end(reported: watch.report), watch.interruption)
    }
}

extension Settings.Proxy {
    /// The port of a proxy on this host: the only TCP port that a command may connect to.
    package var localPort: UInt16? {
        for url in [https, http] {
            guard let url else { continue }
            var rest = url[...]
            if let slashes = rest.firstIndex(of: "/"), rest[slashes...].hasPrefix("//") {
                rest = rest[slashes...].dropFirst(2)
            }
            if let at = rest.lastIndex(of: "@") { rest = rest[rest.index(after: at)...] }
            rest = rest.prefix { $0 != "/" }
            if let colon = rest.lastIndex(of: ":"), let port = UInt16(rest[rest.index(after: colon)...]) { return port }
        }
        return nil
    }
}
