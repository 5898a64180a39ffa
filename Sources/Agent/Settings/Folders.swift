package import Contracts
import Glibc
package import LinuxSystem

/// Where a job's files are. All paths absolute and canonical.
package struct Folders: Equatable, Sendable {
    package var workspace: String
    /// The agent's working tree: every command's cwd is inside it.
    package var project: String
    /// The checkpoint, the spool and commands' output: never visible to a command.
    package var checkpoints: String
    /// Read again later: a path that holds when the volume is rotated.
    package var secrets: String
    /// A command's home and temporary folder.
    package var home: String
    package var temporary: String
    /// What commands may read and execute beside the image's system folders: the tools of a user's own.
    package var tools: [String] = []
    private var logFile: String?
    private var config: String?
    /// The folder of snapshots, if they go to one.
    private var snapshots: String?
    package let job: JobID

    package var database: String { "\(checkpoints)/job_\(job).db" }
    package var spool: String { "\(checkpoints)/spool_\(job).db" }
    /// A file a command, with the whole of its output.
    package var outputs: String { "\(checkpoints)/output_\(job)" }
    /// Where programs run whose verdict counts (`VerdictRoom`): no other command reaches it.
    package var verdicts: String { "\(checkpoints)/verdict_\(job)" }
    /// A file for each of our processes that died, until it is shipped.
    package var gasps: String { "\(checkpoints)/gasps_\(job)" }

    /// The folders of the job that `JOB_ID` names, for a look from outside: no task is needed.
    ///
    /// - Throws: `StartError(.configuration)`.
    package init(environment: [String: String]) throws(StartError) {
        let source = SettingsSource(environment: environment)
        self.init(source, job: Settings.job(source))
        try source.check()
    }

    /// Settles the paths and refuses those that a command could reach.
    init(_ source: SettingsSource, job: JobID) {
        self.job = job
        func path(_ name: String, _ standard: String) -> String {
            let value = source[name] ?? standard
            guard value.hasPrefix("/") else {
                source.refuse(.setting(name, "is \"\(value)\"", accepted: "an absolute path"))
                return standard
            }
            return canonicalPath(value)
        }
        workspace = path("WORKSPACE_PATH", "/workspace")
        project = path("AGENT_PROJECT_DIR", workspace + "/project")
        checkpoints = path("AGENT_CHECKPOINT_DIR", workspace + "/checkpoints")
        secrets = RotatedVolume.lasting(path("AGENT_SECRETS_DIR", "/var/secrets"))
        home = path("AGENT_HOME", workspace + "/home")
        logFile = source["AGENT_LOG_FILE"].map(canonicalPath)
        config = source["AGENT_CONFIG"].map(canonicalPath)
        snapshots = source.take { () throws(StartError) in try ObjectStoreSettings.folder(source) } ?? nil
        temporary = path("AGENT_TMP", "/tmp")
        // A workspace or a build under /tmp is usual outside a pod. Granting /tmp would grant the checkpoints and programs.
        let closed = hidden.map(\.path) + [config, programFolder()].compactMap { $0 }
        if source["AGENT_TMP"] == nil, closed.contains(where: { isPath($0, inside: temporary) }) {
            temporary = workspace + "/tmp"
        }
        tools = Self.tools(source)
        refuseExposure(source)
    }

    /// At most so many; each costs a command's start 10 microseconds.
    private static let mostTools = 32

    private static func tools(_ source: SettingsSource) -> [String] {
        let setting = "AGENT_COMMAND_FOLDERS"
        let named = (source[setting] ?? "").split(separator: ":").map(String.init)
        let accepted = "absolute paths of folders that are there, with : between them, \(mostTools) at most"
        guard named.count <= mostTools else {
            source.refuse(.setting(setting, "has \(named.count) folders", accepted: accepted))
            return []
        }
        return named.compactMap { path in
            var status = stat()
            let real = canonicalPath(path)
            guard path.hasPrefix("/"), stat(real, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
                source.refuse(.setting(setting, "has \"\(path)\"", accepted: accepted))
                return nil
            }
            guard real != "/" else {
                source.refuse(.setting(setting, "has \"\(path)\", which is everything", accepted: accepted))
                return nil
            }
            return real
        }
    }

    /// What no command may see, with the setting that places it.
    private var hidden: [(setting: String, path: String)] {
        var result = [("AGENT_CHECKPOINT_DIR", checkpoints), ("AGENT_SECRETS_DIR", secrets)]
        if let logFile { result.append(("AGENT_LOG_FILE", logFile)) }
        if let snapshots { result.append(("AGENT_SNAPSHOT_URL", snapshots)) }
        return result
    }

    /// The setting that grants commands the folder in which `path` lies, to write to; nil if it lies in none. Canonical.
    package func writable(_ path: String) -> String? {
        granted.first { $0.isWritable && isPath(path, inside: $0.path) }.map { "\($0.name) \($0.path)" }
    }

    /// All that a command of the job is granted.
    private var granted: [(name: String, path: String, isWritable: Bool)] {
        [("AGENT_PROJECT_DIR", project, true), ("AGENT_HOME", home, true), ("AGENT_TMP", temporary, true)]
            + tools.map { ("AGENT_COMMAND_FOLDERS", $0, false) }
            + JailGrants.places.map { place in
                let isWritable = place.access == .readAndWrite
                return (isWritable ? "the shared memory" : "the image's", canonicalPath(place.path), isWritable)
            }
    }

    /// Landlock cannot deny a folder inside an allowed one, so nothing hidden may lie in what a command is granted.
    private func refuseExposure(_ source: SettingsSource) {
        for (setting, path) in hidden {
            for grant in granted where isPath(path, inside: grant.path) {
                source.refuse(
                    StartError(
                        .configuration,
                        "\(setting) \(path) lies inside \(grant.name) \(grant.path), which commands can reach; "
                            + "put it outside, for example beside the project tree"))
            }
        }
        // The other way round a hidden folder would swallow what commands need, and a command could fill it.
        for (grant, folder, _) in granted.prefix(3 + tools.count) {
            for (setting, path) in hidden where isPath(folder, inside: path) {
                source.refuse(
                    StartError(
                        .configuration, "\(grant) \(folder) lies inside \(setting) \(path); put them side by side"))
            }
        }
    }

    /// Makes the folders that are missing and checks that the checkpoint can live where it is.
    package func prepare() throws(StartError) {
        _ = mend()
        // Whatever made them, only we may use them.
        for folder in [checkpoints, outputs, gasps, verdicts] { _ = chmod(folder, 0o700) }
        try make([
            ("WORKSPACE_PATH", workspace, 0o755), ("AGENT_CHECKPOINT_DIR", checkpoints, 0o700),
            ("AGENT_CHECKPOINT_DIR", outputs, 0o700), ("AGENT_CHECKPOINT_DIR", gasps, 0o700),
            ("AGENT_CHECKPOINT_DIR", verdicts, 0o700),
        ])
        try prepareForCommands()
        try checkCheckpoints()
    }

    /// Makes the folders that commands work in: all that is needed where there is no job.
    ///
    /// - Throws: `StartError(.configuration)`.
    package func prepareForCommands() throws(StartError) {
        try make([
            ("AGENT_PROJECT_DIR", project, 0o755), ("AGENT_HOME", home, 0o700), ("AGENT_TMP", temporary, 0o700),
        ])
    }

    private func make(_ folders: [(String, String, UInt32)]) throws(StartError) {
        for (setting, path, mode) in folders {
            do throws(SystemError) {
                try makeFolder(path, mode: mode)
            } catch {
                throw refusal(
                    setting, path, "cannot be made", error,
                    advice: "mount a writable volume there or make it writable for UID \(getuid())")
            }
            // In a pod the home lies on the read-only root, and only what is mounted in it (.local) can be written. Nothing
            // is made in the workspace but these folders.
            let rights = [home, workspace].contains(path) ? X_OK : W_OK | X_OK
            guard access(path, rights) == 0 else {
                throw refusal(
                    setting, path, "is not writable for UID \(getuid())", .last("access"),
                    advice: "change its owner, or set fsGroup in the pod")
            }
        }
    }

    /// Why there is no start with a folder as it is. What its storage does to it may pass, and is not the configuration's
    /// fault: it fails, is full, or has become read-only, as Linux makes a file system that has failed.
    ///
    /// The image's own root, which is read-only too, is where a mount is missing.
    package func refusal(
        _ setting: String, _ path: String, _ problem: String, _ error: SystemError, advice: String
    ) -> StartError {
        let fact = "\(setting): the folder \(path) \(problem) (\(error)); "
        if [ENOSPC, EDQUOT].contains(error.code) {
            return StartError(.tryAgain, fact + "make room on its volume, and start again")
        }
        if error.isStorageFailure { return StartError(.tryAgain, fact + "mend its volume, and start again") }
        if error.code == EROFS, isOnVolume(path) {
            return StartError(
                .tryAgain, fact + "its volume is read-only: mend it, or mount it writable, and start again")
        }
        return StartError(.configuration, fact + advice)
    }

    /// Whether a folder is there and lies on a volume of its own, or where the job has been at work.
    private func isOnVolume(_ path: String) -> Bool {
        var own = stat()
        var root = stat()
        guard stat(path, &own) == 0, stat("/", &root) == 0 else { return false }
        return own.st_dev != root.st_dev || access(database, F_OK) == 0
    }

    private func checkCheckpoints() throws(StartError) {
        let kind: FileSystemKind
        do throws(SystemError) {
            kind = try FileSystemKind(of: checkpoints)
        } catch {
            throw refusal("AGENT_CHECKPOINT_DIR", checkpoints, "cannot be looked at", error, advice: "use another")
        }
        if case .network(let name) = kind {
            throw StartError(
                .configuration,
                "AGENT_CHECKPOINT_DIR \(checkpoints) is on a network file system (\(name)), where SQLite's WAL does "
                    + "not work; use a block volume (ReadWriteOncePod)")
        }
    }
}
