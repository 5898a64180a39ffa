import Agent
import Contracts
import Gateway
import Glibc
import HTTP
import Jail
import LinuxSystem
import Providers
import SecretRedaction
import Stores
import Synchronization

/// The one place that names concrete types: which provider, store and tools a job is made of.
struct Wiring {
    let settings: Settings
    private let secrets: Secrets
    private let commands: JailedCommands
    /// The folder of our three programs.
    private let programs: String
    private let provider: any LLMProvider
    private let model: String
    private let prices: Prices?
    private let acceptance: Acceptance?

    /// Prepares the folders and reads the secrets.
    init(settings: Settings, environment: [String: String]) throws {
        self.settings = settings
        try settings.folders.prepare()
        secrets = try Secrets(folder: settings.folders.secrets)
        let (api, _) = try secrets.key(for: settings.model, environment: environment)
        model = try settings.model.model(for: api)
        prices = settings.model.prices(for: api)
        acceptance = try Acceptance.read(settings)
        provider = try Self.provider(settings, secrets, environment: environment)
        programs = try ownFolder()
        var commands = JailedCommands(
            program: programs + "/agent-jail", folders: settings.folders, proxy: settings.proxy,
            limits: settings.commandLimits)
        commands.outputs.budget = settings.outputBudget
        commands.network = settings.network
        commands.environment = settings.commandEnvironment
        try commands.environment.refuse(where: Self.hasSecret(of: secrets))
        self.commands = commands
    }

    /// The provider of the settings, with its key as it is at each request.
    static func provider(
        _ settings: Settings, _ secrets: Secrets, environment: [String: String],
        deadlines: HTTPDeadlines = HTTPDeadlines()
    ) throws(StartError) -> any LLMProvider {
        let (api, key) = try secrets.key(for: settings.model, environment: environment)
        let network = try HTTPConfiguration(
            httpProxy: settings.proxy.http, httpsProxy: settings.proxy.https,
            proxyExceptions: settings.proxy.exceptions, environment: environment)
        var configuration = ProviderConfiguration(baseURL: settings.model.baseURL, key: key, network: network)
        configuration.deadlines = deadlines
        configuration.currentKey = { [folder = settings.folders.secrets, model = settings.model] in
            guard let (found, key) = try? Secrets(folder: folder).key(for: model), found == api else { return nil }
            return key
        }
        return try makeProvider(api, configuration)
    }

    /// Whether a text has one of these secrets in it, in any form in which programs print them, or what has the shape
    /// of a credential: what would be cut out of the log.
    static func hasSecret(of secrets: Secrets?) -> (String) -> Bool {
        let redactor = Redactor(secrets: secrets?.all ?? [])
        return { redactor.redact($0) != $0 }
    }

    /// Opens the checkpoint, on a thread of its own.
    func opening() -> ThreadResult<Opened> {
        let (path, job, asks) = (settings.folders.database, settings.job.text, settings.asksAfterRestore)
        return ThreadResult {
            Opened(
                Result { () throws(StoreError) in
                    try SQLiteCheckpointStore.opened(
                        path: path, job: job, version: version, host: hostName(), asks: asks)
                })
        }
    }

    /// What a thread that opened the checkpoint hands to the one that waited for it, once. SQLite allows a connection to
    /// change threads so (sqlite.org/threadsafe.html, "Multi-thread").
    final class Opened: Sendable {
        private let result: Mutex<Result<SQLiteCheckpointStore, StoreError>?>

        fileprivate init(_ result: sending Result<SQLiteCheckpointStore, StoreError>) { self.result = Mutex(result) }

        func take() throws(StoreError) -> any CheckpointStore {
            guard let result = result.withLock({ $0.take() }) else {
                throw StoreError(.unusable, "the checkpoint was handed over twice; please report this")
            }
            return try result.get()
        }
    }

    /// The task of the configuration, if the job has not begun yet.
    ///
    /// - Throws: `StartError`, also if it is not the one that the job began with.
    func task() throws(StartError) -> Event.TaskReceived? {
        let begun: String?
        do throws(StoreError) {
            begun = access(settings.folders.database, F_OK) == 0 ? try Self.journal(of: settings.folders).task() : nil
        } catch {
            // The store says what is wrong with it, and a job that it puts back has begun.
            return try settings.readTask()
        }
        return try settings.task(begun: begun)
    }

    static func journal(of folders: Folders) -> any JournalReader { SQLiteJournal(path: folders.database) }

    static func violations(in folders: Folders) throws(StoreError) -> [String] {
        try CheckpointAudit.violations(of: folders.database, job: folders.job.text)
    }

    static func fork(_ folders: Folders, at seq: Int64, as job: JobID) throws(StoreError) {
        try CheckpointFork.fork(
            journal(of: folders), at: seq, to: "\(folders.checkpoints)/job_\(job).db", job: job.text)
    }

    /// Closes to this process all that is not a place of its work. To be called before anything starts a thread.
    ///
    /// A kernel without Landlock is passed over: the proof of the jail comes next, and says it better.
    func confine(environment: [String: String]) throws(StartError) {
        guard Kernel.probe().landlock >= Kernel.neededLandlock else { return }
        do throws(JailFailure) {
            try Confinement.loop(settings, environment: environment, programs: programs).enter()
        } catch {
            throw StartError(.notPermitted, "the loop cannot be confined to its places: \(error)")
        }
    }

    /// Runs `true` in the jail: a pod that cannot have the jail finds out before it has spent anything.
    func proveJail(attention: any Attention) throws {
        for profile in JailProfile.allCases {
            let result: CommandResult
            do throws(JailUnavailable) {
                result = try commands.run(
                    ["true"], id: "jail-proof", profile: profile, timeout: 10000, attention: attention)
            } catch {
                throw StartError(.notPermitted, LoopEnd.noJail(error).reason)
            }
            guard result.report.end != .exited(0), result.interruption == nil else { continue }
            let problem =
                result.missingJail
                ?? JailUnavailable("`true` in the \(profile.rawValue) jail: \(result.report.end) \(result.output)")
            throw StartError(.notPermitted, LoopEnd.noJail(problem).reason)
        }
    }

    /// Nil if there are to be no snapshots.
    func snapshots(environment: [String: String]) throws(StartError) -> SnapshotKeeper? {
        guard let snapshots = settings.snapshots else { return nil }
        try SnapshotWiring.requireCredentials(snapshots.store, secretsFolder: settings.folders.secrets)
        if case .folder(let path) = snapshots.store {
            // Before the process is confined: a folder that comes later stays closed to it.
            _ = try? makeFolder(path)
        }
        return SnapshotKeeper(
            program: programs + "/agentd", environment: environment, commands: commands, interval: snapshots.interval,
            grace: settings.grace, say: { say("agent-init: \($0)") })
    }

    func loop(
        ledger: Ledger, snapshots: SnapshotKeeper?, attention: any LoopAttention, display: any LiveDisplay
    ) throws -> AgentLoop {
        let tree: ProjectTree
        do throws(SystemError) {
            tree = try ProjectTree(path: settings.folders.project)
        } catch {
            throw settings.folders.refusal(
                "AGENT_PROJECT_DIR", settings.folders.project, "cannot be opened", error,
                advice: "make it readable for UID \(getuid())")
        }
        let background = BackgroundCommands(commands: commands, longest: settings.backgroundTimeout)
        var commands = commands
        commands.relief = { background.endForRoom() }
        return AgentLoop(
            ledger: ledger, provider: provider, model: model, prices: prices, acceptance: acceptance,
            snapshots: snapshots,
            tools: ToolSet(
                commands: commands, background: background, tree: tree, longestCommand: settings.commandTimeout,
                hasAcceptance: acceptance != nil),
            commands: commands, background: background, tree: tree, settings: settings, attention: attention,
            display: display)
    }
}
