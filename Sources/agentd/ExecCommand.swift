import Agent
import ArgumentParser
import Contracts
import Events
import Glibc
import LinuxSystem

extension ExecProfile: ExpressibleByArgument {}

/// `agentd exec`: one command in the jail, for people and for other agents.
struct ExecCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exec", abstract: "Run one command in the jail, as the agent's own commands are run.",
        usage: "agent-init exec [--profile NAME] [--timeout S] [--cwd DIR] [--env K=V]… [--json] [--pty] -- COMMAND…",
        discussion: """
            The command can write only to the project tree ($WORKSPACE_PATH/project), the home, the temporary folder \
            and /dev/shm, and read only the system's folders beside them. When it ends, everything that it has started \
            is ended. Needs no JOB_ID, no model and no secrets: WORKSPACE_PATH, or the AGENT_…_DIR folders.

            EXAMPLES
              export WORKSPACE_PATH=$PWD/work
              agent-init exec -- python3 -c 'print(6 * 7)'
              agent-init exec --timeout 60 --cwd tests -- bash -c 'make && ./run-all'
              tar c . | agent-init exec -- tar x               put files in
              agent-init exec --profile strategic -- git log    look, change nothing
              agent-init exec --json -- ./build | jq .exit_code
              agent-init exec --pty -- bash                    a shell in the jail

            STREAMS
            stdout and stderr come as they are written. stdin is passed on, also what the command does not read: in a \
            `while read` loop give it </dev/null. SIGTERM, SIGINT and SIGHUP end the command and all it started.

            EXIT CODES
            The command's own; 128+n if signal n ended it; 124 time limit; 125 it did not start, and nothing of it has run \
            (`agent-init doctor` says why); 123 it was started and its end is not known: look before you repeat it; 126 not \
            executable; 127 not found; 64 this command line; 78 a setting.
            """)

    @Option(help: "tactical: the project tree is writable. strategic: it is read-only. none-network: no network.")
    var profile = ExecProfile.tactical

    @Option(help: "Seconds until SIGTERM, SIGKILL 2 s later. (default: AGENT_COMMAND_TIMEOUT_SECONDS; --pty: a week)")
    var timeout: Double?

    @Option(help: "Working directory, absolute or in the project tree, never outside it.") var cwd: String?

    @Option(help: "A variable NAME=VALUE for the command; no secrets, other commands can read it. Repeatable.")
    var env: [String] = []

    @Flag(help: "Print one JSON object with the whole result at the end, instead of the output as it comes.")
    var json = false

    @Flag(help: "Give the command a terminal: for shells, editors, anything that a person types into.")
    var pty = false

    @Argument(parsing: .captureForPassthrough, help: "The program and its arguments.") var command: [String] = []

    func validate() throws {
        if ["--help", "-h"].contains(command.first) { throw CleanExit.helpRequest(self) }
        guard let first = words.first else { throw ValidationError("there is no command: … -- COMMAND [ARGUMENT…]") }
        // Whatever it did not know as an option, the parser has taken for the command's beginning.
        guard command.first == "--" || !first.hasPrefix("-") else {
            throw ValidationError("unknown option \(first); a command's own options stand after --")
        }
        if let timeout, !(timeout >= 0.001 && timeout <= Double(JailRequest.longestWait) / 1000) {
            throw ValidationError("--timeout \(timeout): 0.001 to \(JailRequest.longestWait / 1000) seconds is wanted")
        }
        for entry in env where variable(entry) == nil {
            throw ValidationError("--env \(entry): NAME=VALUE is wanted, NAME of letters, digits and _")
        }
    }

    /// The command without the mark before it.
    private var words: [String] { command.first == "--" ? Array(command.dropFirst()) : command }

    /// Name and value of an entry.
    private func variable(_ entry: String) -> (String, String)? {
        // By bytes: "=" and a combining mark that begins the value are one Character, which is not "=".
        guard let mark = entry.utf8.firstIndex(of: UInt8(ascii: "=")) else { return nil }
        let name = String(entry[..<mark])
        guard CommandEnvironment.isName(name) else { return nil }
        return (name, String(decoding: entry.utf8[mark...].dropFirst(), as: UTF8.self))
    }

    func run() throws {
        signal(SIGPIPE, SIG_IGN)
        _ = setDumpable(false)
        // A file that got one of these numbers would become the command's output.
        for number in Int32(0)...2 where fcntl(number, F_GETFD) < 0 { _ = open("/dev/null", O_RDWR) }
        let outcome: ExecOutcome
        do {
            let settings = try SandboxSettings(environment: processEnvironment())
            // Who can read the secrets makes sure that none is among the variables; who cannot has none to give.
            try settings.environment.refuse(where: Wiring.hasSecret(of: try? Secrets(folder: settings.folders.secrets)))
            try settings.folders.prepareForCommands()
            let plan = try plan(settings)
            outcome = try commands(settings).exec(plan)
            if json { try writeAll(1, outcome.json(of: plan).text + "\n") }
        } catch let error as StartError {
            say("agent-init exec: \(error)")
            throw ArgumentParser.ExitCode(error.exit.rawValue)
        } catch let error as SystemError {
            say("agent-init exec: the command cannot be run: \(error)")
            throw ArgumentParser.ExitCode(125)
        }
        if !json, outcome.report.end == .timedOut { say("agent-init exec: ended at its time limit") }
        if !json { for words in outcome.refused { say("agent-init exec: refused: \(words)") } }
        if case .exhausted(_, let message) = outcome.report.end, !json { say("agent-init exec: ended: \(message)") }
        if case .lost(_, let message) = outcome.report.end, !json {
            say("agent-init exec: its end is not known: \(message); look what it has done before you repeat it")
        }
        if let signal = outcome.signal { die(of: signal) }
        throw ArgumentParser.ExitCode(outcome.exitCode)
    }

    private func commands(_ settings: SandboxSettings) throws -> JailedCommands {
        var commands = settings.commands(program: try ownFolder() + "/agent-jail")
        if pty { commands.environment.set("TERM", Self.terminalType) }
        for (name, value) in env.compactMap(variable) { commands.environment.set(name, value) }
        return commands
    }

    private func plan(_ settings: SandboxSettings) throws -> ExecPlan {
        ExecPlan(
            command: words, profile: profile,
            timeout: timeout.map { Int64($0 * 1000) } ?? (pty ? JailRequest.longestWait : settings.timeout),
            workingDirectory: try cwd.map { try Self.folder($0, in: settings.folders.project) }, hasTerminal: pty,
            captures: json)
    }

    /// The working directory, if it is a folder of the project tree. The jail looks again when it opens it.
    private static func folder(_ path: String, in project: String) throws -> String {
        let folder = canonicalPath(path.hasPrefix("/") ? path : project + "/" + path)
        guard isPath(folder, inside: project) else {
            throw StartError(.usage, "--cwd \(path) is \(folder), outside the project tree \(project)")
        }
        var status = stat()
        guard stat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw StartError(.usage, "--cwd \(path): there is no folder \(folder)")
        }
        return folder
    }

    /// What kind of terminal we ourselves were told of, if it is a plain name.
    private static var terminalType: String {
        let name = processEnvironment()["TERM"] ?? ""
        let isPlain = name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f } && (1...64).contains(name.utf8.count)
        return isPlain && name != "dumb" ? name : "xterm"
    }
}
