import Contracts
import Glibc
import LinuxSystem

extension Doctor {
    /// Whether the folders can be used for what they are for, tried by writing.
    func lookAtFolders() -> [Finding] {
        let folders = settings.folders
        var result = [
            writable("project", folders.project, "AGENT_PROJECT_DIR"),
            writable("temporary", folders.temporary, "AGENT_TMP"),
            home(), checkpoints(),
        ]
        if result.last?.verdict == .good { result.append(writeAheadLog()) }
        return result + [secrets(), endMessage()]
    }

    private func writable(_ name: String, _ path: String, _ setting: String, mode: UInt32 = 0o755) -> Finding {
        do throws(SystemError) {
            try makeFolder(path, mode: mode)
            try tryWriting(in: path)
        } catch {
            return Finding(
                "folders", name, .bad, "\(path): \(error)",
                remedy: "mount a writable volume there, set fsGroup in the pod, or set \(setting) (UID \(getuid()))",
                exit: .configuration)
        }
        return Finding("folders", name, .good, "\(path), writable")
    }

    private func home() -> Finding {
        let path = settings.folders.home
        let whole = writable("home", path, "AGENT_HOME", mode: 0o700)
        // In a pod the home lies on the read-only root, and .local is the volume in it.
        guard whole.verdict == .bad, (try? tryWriting(in: path + "/.local")) != nil else { return whole }
        return Finding("folders", "home", .good, "\(path), writable in .local")
    }

    private func tryWriting(in folder: String) throws(SystemError) {
        let path = "\(folder)/.agent-init-doctor-\(getpid())"
        let file = Descriptor(
            adopting: try retrying("open", subject: folder) {
                open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
            })
        defer { unlink(path) }
        try writeAll(file.number, "x")
    }

    private func checkpoints() -> Finding {
        let path = settings.folders.checkpoints
        let finding = writable("checkpoints", path, "AGENT_CHECKPOINT_DIR", mode: 0o700)
        guard finding.verdict == .good else { return finding }
        if case .network(let kind)? = try? FileSystemKind(of: path) {
            return Finding(
                "folders", "checkpoints", .bad, "\(path) is on \(kind), where SQLite's WAL does not work",
                remedy: "a block volume (ReadWriteOncePod)", exit: .configuration)
        }
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & 0o077 == 0 || status.st_uid != geteuid() else {
            return Finding(
                "folders", "checkpoints", .good,
                "\(path), writable; mode \(String(status.st_mode & 0o777, radix: 8)), which a job changes to 700")
        }
        return finding
    }

    private func writeAheadLog() -> Finding {
        if let problem = writeAhead(settings.folders.checkpoints) {
            return Finding(
                "folders", "checkpoint WAL", .bad, "a database in WAL mode cannot be written: \(problem)",
                remedy: "a block volume with a local file system and some room", exit: .configuration)
        }
        return Finding("folders", "checkpoint WAL", .good, "a database in WAL mode was written and read back")
    }

    private func secrets() -> Finding {
        let folder = settings.folders.secrets
        guard access(folder, F_OK) == 0 else {
            return Finding("folders", "secrets", .note, "\(folder) is not there; a job needs it for the model's key")
        }
        guard let names = try? namesInFolder(folder) else {
            return Finding(
                "folders", "secrets", .bad, "\(folder) cannot be listed by UID \(getuid())",
                remedy: "fsGroup in the pod, or the folder's owner and mode")
        }
        var files: [String] = []
        for name in names where !name.hasPrefix(".") {
            let path = folder + "/" + name
            var status = stat()
            guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
            guard access(path, R_OK) == 0 else {
                return Finding(
                    "folders", "secrets", .bad, "\(path) cannot be read by UID \(getuid())",
                    remedy: "defaultMode: 0440 in the volume and fsGroup in the pod")
            }
            guard status.st_mode & 0o007 == 0 else {
                return Finding(
                    "folders", "secrets", .weak, "\(path) can be read by every user of the pod",
                    remedy: "defaultMode: 0440 in the Secret's volume, with fsGroup in the pod",
                    open: "reading the secrets as another user of the pod, outside the jail")
            }
            files.append(name)
        }
        let list = files.isEmpty ? "no file" : files.joined(separator: ", ")
        return Finding("folders", "secrets", .good, "\(folder): \(list); readable for us alone")
    }

    private func endMessage() -> Finding {
        var status = stat()
        let isThere = stat(terminationLog, &status) == 0
        let parent = String(terminationLog.prefix(upTo: terminationLog.lastIndex(of: "/") ?? terminationLog.startIndex))
        let canBeWritten = access(isThere ? terminationLog : parent + "/", W_OK) == 0
        if isThere, canBeWritten { return Finding("folders", "termination log", .good, "\(terminationLog), writable") }
        let text = isThere ? "is not writable" : canBeWritten ? "will be made" : "is not there, and cannot be made"
        return Finding(
            "folders", "termination log", canBeWritten ? .good : .weak, "\(terminationLog) \(text)",
            remedy: "set terminationMessagePath in the container and AGENT_TERMINATION_LOG to the same path")
    }
}
