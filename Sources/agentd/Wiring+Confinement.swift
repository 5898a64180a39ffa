import Agent
import Contracts
import Jail
import LinuxSystem

/// The places of our own processes.
extension Confinement {
    /// The loop's: all that commands get, for they live in its domain, and beside it the checkpoint and the secrets.
    static func loop(_ settings: Settings, environment: [String: String], programs folder: String) -> Confinement {
        var places = Confinement()
        let folders = settings.folders
        places.commands = [
            folders.project, folders.home, folders.temporary, folders.verdicts, JailGrants.sharedMemory,
        ]
        // `agentd snapshot` lives in the loop's domain.
        places.work = [folders.checkpoints] + storeFolder(of: settings.snapshots?.store)
        places.programs = systemFolders + [folder] + folders.tools
        places.reading = readByAll(folders, environment)
        if case .file(let path) = settings.task { places.reading.append(path) }
        return places
    }

    /// The gateway's: nothing to execute, and to write only the spool and the log.
    static func gateway(_ settings: Settings, environment: [String: String]) -> Confinement {
        var places = Confinement()
        places.work = [settings.folders.checkpoints]
        if let file = settings.delivery.logFile {
            // The folder: a file that was rotated away is made anew. Never the root, which is everything.
            let folder = canonicalPath(file + "/..")
            places.work.append(folder == "/" ? file : folder)
        }
        places.reading = systemFolders + readByAll(settings.folders, environment)
        return places
    }

    /// Of what talks to the object store: the checkpoint, the store if it is a folder, and the project to be read; for
    /// `restore` the folder that the project lies in, where it is extracted and renamed.
    static func snapshots(
        _ folders: Folders, _ store: ObjectStoreSettings, restores: Bool, environment: [String: String]
    ) -> Confinement {
        var places = Confinement()
        places.work = [folders.checkpoints] + storeFolder(of: store)
        if restores { places.work.append(canonicalPath(folders.project + "/..")) }
        places.reading = systemFolders + readByAll(folders, environment) + [folders.project]
        return places
    }

    private static func storeFolder(of store: ObjectStoreSettings?) -> [String] {
        if case .folder(let path)? = store { [path] } else { [] }
    }

    /// Without /proc and /sys, where nothing is executed.
    private static var systemFolders: [String] { JailGrants.programs }

    private static func readByAll(_ folders: Folders, _ environment: [String: String]) -> [String] {
        let named = ["SSL_CERT_DIR", "AGENT_CONFIG"].compactMap { environment[$0] }
        // The resolver's file where it is a link out of /etc.
        let own = [RotatedVolume.mount(of: folders.secrets), canonicalPath("/etc/resolv.conf")]
        return JailGrants.kernel + JailGrants.packages + own + named + authorities(folders, environment)
    }

    /// The certificates as curl and OpenSSL are told of them, with the folder that the file lies in: it may be replaced, by
    /// a file of the same name or by another version of its volume, and a rule for the file alone would not hold for that.
    /// A folder that has places of the job in it, or is the root, is not opened for it.
    private static func authorities(_ folders: Folders, _ environment: [String: String]) -> [String] {
        let ours = [folders.workspace, folders.project, folders.checkpoints, folders.home, folders.temporary]
        return ["CURL_CA_BUNDLE", "SSL_CERT_FILE"].compactMap { environment[$0] }.flatMap { file in
            let folder = canonicalPath(String(file[..<(file.lastIndex(of: "/") ?? file.startIndex)]))
            let isOfJob = ours.contains { isPath($0, inside: folder) || isPath(folder, inside: $0) }
            return file.hasPrefix("/") && folder != "/" && !isOfJob ? [file, folder] : [file]
        }
    }
}
