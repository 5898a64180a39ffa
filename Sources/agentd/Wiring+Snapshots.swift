import Agent
import ArgumentParser
import Contracts
import HTTP
import Jail
import LinuxSystem
import ObjectStores
import Snapshots

/// What the processes have in common that talk to the object store.
struct SnapshotWiring {
    let folders: Folders
    let settings: SnapshotSettings
    let store: any ObjectStore

    /// Reads the settings, confines the process and opens the store. Nil if no store is set.
    ///
    /// - Throws: `StartError`.
    init?(environment: [String: String], restores: Bool = false) throws(StartError) {
        folders = try Folders(environment: environment)
        guard let settings = try SnapshotSettings.read(environment: environment) else { return nil }
        self.settings = settings
        let network = try HTTPConfiguration(
            httpProxy: settings.proxy.http, httpsProxy: settings.proxy.https,
            proxyExceptions: settings.proxy.exceptions, environment: environment)
        store = try makeObjectStore(settings.store, secretsFolder: folders.secrets, network: network)
        guard Kernel.probe().landlock >= Kernel.neededLandlock else { return }
        do throws(JailFailure) {
            try Confinement.snapshots(folders, settings.store, restores: restores, environment: environment).enter()
        } catch {
            // It runs nothing of the model's.
            say("agent-init: warning: this process is not confined to its places: \(error)")
        }
    }

    var claims: Claims { Claims(store: store, job: folders.job.text, checkpoint: folders.database) }
    var library: SnapshotLibrary { SnapshotLibrary(store: store, job: folders.job.text) }

    static func needed(_ wiring: SnapshotWiring?) throws(StartError) -> SnapshotWiring {
        guard let wiring else {
            throw StartError(
                .configuration, "AGENT_SNAPSHOT_URL is not set; accepted: s3://BUCKET/PREFIX, file:///PATH")
        }
        return wiring
    }

    /// What a start of the job finds out before anything runs: credentials that are missing, in the words of `restore`.
    ///
    /// - Throws: `StartError(.notPermitted)`.
    static func requireCredentials(_ store: ObjectStoreSettings, secretsFolder: String) throws(StartError) {
        if case .bucket = store { _ = try S3Credentials(secretsFolder: secretsFolder) }
    }

    /// Does the work, and ends the program with the documented code and the reason if it fails. `name` is nil where the
    /// reason is for the loop, which says it in words of its own.
    static func work(_ name: String?, _ body: () throws -> Void) throws {
        let failure: (Contracts.ExitCode, String)
        do {
            try requireProc()
            return try body()
        } catch let code as ArgumentParser.ExitCode {
            throw code
        } catch let error as StartError {
            failure = (error.exit, error.description)
        } catch let error as StoreError {
            failure = (LoopEnd(error).exit, error.description)
        } catch let error as ObjectStoreError {
            failure = (Contracts.ExitCode(error), error.description)
        } catch {
            failure = (.tryAgain, "\(error)")
        }
        say((name.map { "agent-init \($0): " } ?? "") + failure.1)
        throw ArgumentParser.ExitCode(failure.0.rawValue)
    }
}

extension Contracts.ExitCode {
    init(_ error: ObjectStoreError) {
        switch error.kind {
        case .unavailable, .exists: self = .tryAgain
        case .denied, .forbidden: self = .notPermitted
        case .refused: self = .configuration
        case .missing, .damaged: self = .checkpointUnusable
        }
    }
}
