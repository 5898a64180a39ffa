/// What a command may do: the set of rules the jail applies.
package enum JailProfile: String, Sendable, CaseIterable {
    /// The project tree is read-only.
    case strategic
    /// The project tree is read-write.
    case tactical
}

/// One command to run in the jail, as `agent-jail`'s command line.
package struct JailRequest: Equatable, Sendable {
    package var profile: JailProfile
    /// The project tree, absolute. The command's cwd is inside it.
    package var project: String
    /// The command's home and temporary folder, absolute, read-write.
    package var home: String
    package var temporary: String
    /// Further folders that the command may read and execute, absolute.
    package var tools: [String] = []
    /// The working directory, absolute, inside `project`; `project` itself if nil.
    package var workingDirectory: String?
    /// Where the command may connect to, and where what it listens on can be reached from.
    package var network: NetworkPolicy
    package var listening: NetworkListening
    /// From start to SIGTERM, in milliseconds, 1 to `longestWait`.
    package var timeout: Int64
    /// From SIGTERM to SIGKILL, in milliseconds, 0 to `longestWait`.
    package var grace: Int64
    /// Descriptor numbers in agent-jail, both optional.
    package var reportDescriptor: Int32?
    package var controlDescriptor: Int32?
    /// Which of the command's descriptors 0 to 2 is a terminal that becomes its controlling one.
    package var terminalDescriptor: Int32?
    package var limits = JailLimits()
    /// The whole environment of the command, as `NAME=value`.
    package var environment: [String]
    /// The program and its arguments; the program is searched in the environment's PATH.
    package var command: [String]

    package init(
        profile: JailProfile, project: String, home: String, temporary: String, workingDirectory: String? = nil,
        network: NetworkPolicy = .none, listening: NetworkListening = .none, timeout: Int64, grace: Int64,
        reportDescriptor: Int32? = nil, controlDescriptor: Int32? = nil, environment: [String] = [], command: [String]
    ) {
        self.profile = profile
        self.project = project
        self.home = home
        self.temporary = temporary
        self.workingDirectory = workingDirectory
        self.network = network
        self.listening = listening
        self.timeout = timeout
        self.grace = grace
        self.reportDescriptor = reportDescriptor
        self.controlDescriptor = controlDescriptor
        self.environment = environment
        self.command = command
    }

    /// A week, in milliseconds: no wait of the jail is without end.
    package static let longestWait: Int64 = 7 * 24 * 3_600_000

    /// The command line, without the program's own name.
    package var arguments: [String] {
        var result = ["--profile", profile.rawValue, "--project", project, "--home", home, "--tmp", temporary]
        for folder in tools { result += ["--tools", folder] }
        if let workingDirectory { result += ["--cwd", workingDirectory] }
        result += ["--network", "\(network)", "--listen", "\(listening)"]
        result += ["--timeout-ms", String(timeout), "--grace-ms", String(grace)]
        if let reportDescriptor { result += ["--report-fd", String(reportDescriptor)] }
        if let controlDescriptor { result += ["--control-fd", String(controlDescriptor)] }
        if let terminalDescriptor { result += ["--terminal-fd", String(terminalDescriptor)] }
        result += limits.arguments
        for entry in environment { result += ["--env", entry] }
        return result + ["--"] + command
    }
}
