package import Contracts
import LinuxSystem

/// All settings of a job, typed and checked. See the README's table.
package struct Settings: Sendable {
    package var job: JobID
    package var folders: Folders
    package var task: TaskSource?
    package var model: ModelSettings
    package var limits: Limits
    package var proxy: Proxy
    package var network: NetworkSettings
    /// The most that one command may take, in milliseconds.
    package var commandTimeout: Int64
    /// What the configuration adds to the environment of commands.
    package var commandEnvironment: CommandEnvironment
    /// The most that one background command may take, in milliseconds.
    package var backgroundTimeout: Int64
    /// Bytes that the outputs of all commands may take on the disk.
    package var outputBudget: Int
    /// What one command may use of the pod's memory and volumes.
    package var commandLimits: JailLimits
    /// A shell command, or a script, that VERIFY runs in the jail: it must exit with 0 (`Acceptance`).
    package var acceptance: String?
    package var acceptanceFile: String?
    /// How long a process waits for a human, in milliseconds, before it exits with `tryAgain`.
    package var inputWait: Int64
    /// Whether a human is asked when the checkpoint was put back from a backup and commands may have run after it.
    package var asksAfterRestore: Bool
    package var delivery: DeliverySettings
    /// Where snapshots go; nil if there are none.
    package var snapshots: SnapshotSettings?
    /// What the pod gives between SIGTERM and SIGKILL, in milliseconds.
    package var grace: Int64

    /// Where the task is to come from.
    package enum TaskSource: Equatable, Sendable {
        case text(String)
        case file(String)
    }

    /// The proxy of the environment, for the LLM and for commands.
    package struct Proxy: Equatable, Sendable {
        package var http: String?
        package var https: String?
        package var exceptions: String?

        /// No proxy.
        package init() {}

        init(_ source: SettingsSource) {
            http = source["HTTP_PROXY"]
            https = source["HTTPS_PROXY"]
            exceptions = source["NO_PROXY"]
        }
    }

    /// Where the log goes and how the gateway listens.
    package struct DeliverySettings: Equatable, Sendable {
        package enum Format: String, Sendable, CaseIterable {
            case json, text, auto
        }
        package var natsURL: String?
        package var createStreams: Bool
        /// `host:port`; nil if off.
        package var listen: String?
        package var format: Format
        package var logFile: String?
        /// Bytes.
        package var spoolLimit: Int64
    }

    /// Reads and checks everything but what the file system must tell (`Folders.prepare`).
    ///
    /// - Throws: `StartError` with the setting's name, what is wrong with it and what is accepted.
    package init(environment: [String: String]) throws(StartError) {
        let source = SettingsSource(environment: environment)
        job = Self.job(source)
        folders = Folders(source, job: job)
        task = Self.task(source)
        model = ModelSettings(source)
        limits = Limits(source)
        proxy = Proxy(source)
        network = NetworkSettings(source, proxy: proxy)
        commandTimeout = Self.commandTimeout(source)
        commandEnvironment = CommandEnvironment(source, environment: environment)
        backgroundTimeout = source.seconds("AGENT_BACKGROUND_TIMEOUT_SECONDS", 1...604_800, default: 3600)
        outputBudget =
            source.number("AGENT_OUTPUT_BUDGET_MIB", 1...1_048_576).map { $0 << 20 } ?? KeptOutputs.standardBudget
        commandLimits = JailLimits(source, folders: folders)
        acceptance = source["AGENT_ACCEPTANCE"]
        acceptanceFile = source["AGENT_ACCEPTANCE_FILE"]
        inputWait = source.seconds("AGENT_INPUT_WAIT_SECONDS", 0...604_800, default: 3600)
        asksAfterRestore = Self.asksAfterRestore(source)
        delivery = DeliverySettings(source)
        snapshots = SnapshotSettings.read(source)
        // PID 1 uses these two for itself; a wrong value must be found at the start all the same.
        grace = source.seconds("AGENT_GRACE_SECONDS", 1...3600, default: 60)
        _ = source.seconds("AGENT_WATCHDOG_SECONDS", 10...3600, default: 120)
        try source.check()
    }

    /// Of a job that has no task yet: where one is to come from must be set.
    package static let missingTask = StartError(
        .configuration, "there is no task: set AGENT_TASK or AGENT_TASK_FILE, or NATS_URL to receive a task command")

    static func commandTimeout(_ source: SettingsSource) -> Int64 {
        source.seconds("AGENT_COMMAND_TIMEOUT_SECONDS", 1...86400, default: 600)
    }

    static func job(_ source: SettingsSource, default standard: JobID? = nil) -> JobID {
        guard let id = source["JOB_ID"] else {
            if standard == nil {
                source.refuse(StartError(.configuration, "JOB_ID is not set; accepted: \(JobID.form)"))
            }
            return standard ?? .none
        }
        guard let job = JobID(id) else {
            source.refuse(.setting("JOB_ID", "is \"\(id)\"", accepted: JobID.form))
            return .none
        }
        return job
    }

    static func asksAfterRestore(_ source: SettingsSource) -> Bool {
        switch source["AGENT_AFTER_RESTORE"] {
        case nil, "ask": return true
        case "continue": return false
        case let value?:
            source.refuse(.setting("AGENT_AFTER_RESTORE", "is \"\(value)\"", accepted: "ask or continue"))
            return true
        }
    }

    /// Reads the task where it is; a file of at most 1 MiB.
    ///
    /// - Throws: `StartError(.configuration)` with the name of the setting.
    package func readTask() throws(StartError) -> Event.TaskReceived? {
        switch task {
        case nil: return nil
        case .text(let text): return Event.TaskReceived(text: text, source: "AGENT_TASK")
        case .file(let path):
            let bytes: [UInt8]
            do throws(SystemError) {
                bytes = try readFile(path, limit: 1 << 20)
            } catch {
                throw .setting("AGENT_TASK_FILE", "cannot be read (\(error))", accepted: "a file of at most 1 MiB")
            }
            let text = String(decoding: bytes, as: UTF8.self)
            guard text.contains(where: { !$0.isWhitespace }) else {
                throw .setting("AGENT_TASK_FILE", "\(path) is empty", accepted: "a file with the task's text")
            }
            return Event.TaskReceived(text: text, source: "AGENT_TASK_FILE")
        }
    }

    private static func task(_ source: SettingsSource) -> TaskSource? {
        source.exclude("AGENT_ACCEPTANCE", "AGENT_ACCEPTANCE_FILE")
        source.exclude("AGENT_TASK", "AGENT_TASK_FILE")
        switch (source["AGENT_TASK"], source["AGENT_TASK_FILE"]) {
        case (.some, .some): return nil
        case (let text?, nil): return .text(text)
        case (nil, let path?): return .file(path)
        case (nil, nil): return nil
        }
    }
}

extension Settings.DeliverySettings {
    init(_ source: SettingsSource) {
        natsURL = source["NATS_URL"]
        if let natsURL, !natsURL.split(separator: ",", omittingEmptySubsequences: false).allSatisfy(Self.isServer) {
            // Not the value: it may have a password in it.
            source.refuse(
                .setting(
                    "NATS_URL", "has something that is no server's address",
                    accepted: "nats://host:port, tls://host:port, several with commas between them"))
        }
        createStreams = source.flag("AGENT_NATS_CREATE_STREAMS", default: false)
        let address = source["AGENT_LISTEN"] ?? "0.0.0.0:8080"
        if address == "off" {
            listen = nil
        } else {
            let mark = address.lastIndex(of: ":") ?? address.startIndex
            if mark == address.startIndex || UInt16(address[address.index(after: mark)...]) == nil {
                source.refuse(.setting("AGENT_LISTEN", "is \"\(address)\"", accepted: "host:port, or off"))
            }
            listen = address
        }
        format = source.word("AGENT_LOG_FORMAT") ?? .auto
        logFile = source["AGENT_LOG_FILE"]
        spoolLimit = Int64(source.number("AGENT_SPOOL_MAX_BYTES", 1 << 20...1 << 40) ?? 1 << 28)
    }

    /// Whether this is the address of one server: `[nats://|tls://][user[:password]@]host[:port]`.
    private static func isServer(_ text: Substring) -> Bool {
        var rest = text
        if let scheme = ["nats://", "tls://"].first(where: rest.hasPrefix) { rest = rest.dropFirst(scheme.count) }
        if let at = rest.lastIndex(of: "@") { rest = rest[rest.index(after: at)...] }
        if rest.last == "/" { rest.removeLast() }
        var host = rest
        if let colon = rest.lastIndex(of: ":"), rest.last != "]" {
            guard UInt16(rest[rest.index(after: colon)...]) != nil else { return false }
            host = rest[..<colon]
        }
        if host.first == "[", host.last == "]" { return host.count > 2 }
        return !host.isEmpty && !host.contains { "/[]: \t".contains($0) }
    }
}
