import Agent
import AgentFixtures
import FoundationEssentials
import Glibc
import LinuxSystem
import ObjectStores
import Snapshots
import Stores

/// The store of one job, in a folder, and the volumes of the pods that work at it one after the other.
final class SnapshotScene {
    static let job = "j"

    let folder: TemporaryFolder
    let store: any ObjectStore
    var objects: String { folder.path + "/objects" }
    var library: SnapshotLibrary { SnapshotLibrary(store: store, job: Self.job) }

    init() throws {
        folder = try TemporaryFolder()
        store = try FolderObjectStore(folder.path + "/objects")
    }

    func volume(_ name: String) throws -> Volume {
        try makeFolder(folder.path + "/" + name)
        return Volume(checkpoint: folder.path + "/" + name + "/job_j.db", store: store)
    }

    /// The keys of a kind (`snapshots`, `epoch`), without what all of them begin with.
    func keys(_ kind: String) throws -> [String] {
        let prefix = "jobs/\(Self.job)/\(kind)/"
        return try store.list(prefix).map { String($0.key.dropFirst(prefix.count)) }
    }

    static func key(_ position: CheckpointPosition, _ suffix: String) -> String {
        "jobs/\(job)/snapshots/\(digits(position.epoch))-\(digits(position.seq))\(suffix)"
    }

    static func digits(_ number: Int64) -> String {
        String(repeating: "0", count: 12 - String(number).count) + String(number)
    }

    func manifest(_ position: CheckpointPosition) throws -> SnapshotManifest {
        let bytes = try store.get(Self.key(position, ".json"), limit: 1 << 16)
        return try JSONDecoder().decode(SnapshotManifest.self, from: Data(bytes))
    }

    func put(_ manifest: SnapshotManifest, at position: CheckpointPosition) throws {
        try store.put(Array(JSONEncoder().encode(manifest)), as: Self.key(position, ".json"))
    }

    /// Changes a byte of a snapshot's database that nothing but its digest covers: SQLite's header has 20 bytes "reserved
    /// for expansion" (sqlite.org/fileformat2.html, 1.3), which it does not look at.
    func damage(_ position: CheckpointPosition) throws {
        var bytes = try store.get(Self.key(position, ".db"), limit: 1 << 30)
        bytes[80] ^= 1
        try store.put(bytes, as: Self.key(position, ".db"))
    }
}

/// A volume, and what its pod does there.
struct Volume {
    let checkpoint: String
    let store: any ObjectStore

    var project: String { checkpoint + ".project" }
    var claims: Claims { Claims(store: store, job: SnapshotScene.job, checkpoint: checkpoint) }
    var library: SnapshotLibrary { SnapshotLibrary(store: store, job: SnapshotScene.job) }
    var files: [String] {
        get throws { try namesInFolder(String(checkpoint.dropLast("/job_j.db".count))).sorted() }
    }

    /// A process takes the job here, works, and ends.
    ///
    /// - Returns: where its journal stands then.
    @discardableResult
    func work(claim: (Int64) throws(StoreError) -> Void = { _ in }) throws -> CheckpointPosition {
        let store = try SQLiteCheckpointStore(path: checkpoint, job: SnapshotScene.job)
        let ledger = try Ledger(store: store, version: "test", host: "test", claim: claim)
        if ledger.state.task == nil { try ledger.commit(.taskReceived(.init(text: "Do it", source: "AGENT_TASK"))) }
        try ledger.commit(.noted(.init(kind: .reminder, text: "work")))
        return CheckpointPosition(epoch: ledger.epoch, seq: ledger.state.seq)
    }

    /// `work`, under a claim.
    ///
    /// - Throws: `NotOurs`: nothing was done.
    @discardableResult
    func workAsOwner() throws -> CheckpointPosition {
        do {
            return try work { epoch throws(StoreError) in
                let other: Int64?
                do { other = try claims.take(epoch, nonce: checkpoint, host: "test") } catch {
                    throw StoreError(.inputOutput, "\(error)")
                }
                if other != nil { throw StoreError(.fenced, "it is another's") }
            }
        } catch let error as StoreError where error.kind == .fenced {
            throw NotOurs()
        }
    }

    struct NotOurs: Error {}

    func restore(say: @escaping (String) -> Void = { _ in }) throws -> Restoration.Outcome {
        try restoration(isOff: true, say: say).run(version: "test", host: "test").0
    }

    /// With the project tree, which lies beside the checkpoint.
    func restoreAll() throws -> (Restoration.Outcome, ProjectRestoration.Outcome?) {
        try restoration(isOff: false, say: { _ in }).run(version: "test", host: "test")
    }

    private func restoration(isOff: Bool, say: @escaping (String) -> Void) -> Restoration {
        Restoration(
            store: store, job: SnapshotScene.job, checkpoint: checkpoint,
            project: ProjectRestoration(path: project, isOff: isOff), asks: true, say: say)
    }

    func position() throws -> CheckpointPosition? { try CheckpointCopy.position(of: checkpoint) }
}
