package import Agent
import LinuxSystem
package import Stores

/// The snapshots of one job in an object store: `jobs/<job>/snapshots/<epoch>-<seq>.db` and, stored after it,
/// `….json`, the manifest.
package struct SnapshotLibrary {
    let store: any ObjectStore
    private let job: String
    private var prefix: String { "jobs/\(job)/snapshots/" }

    /// No checkpoint is larger: SQLite's own files end at 281 TB, a job's at some hundred MB.
    private static let databaseLimit: Int64 = 1 << 36

    package init(store: any ObjectStore, job: String) {
        self.store = store
        self.job = job
    }

    // MARK: Making

    /// Takes a snapshot of the checkpoint at `path`: a copy beside it that is checked, stored and removed again. The
    /// archive of `project` comes after it, so that a large tree costs no state; `say` is told what it does not have.
    ///
    /// - Returns: the manifest as it was stored.
    /// - Throws: `StoreError` for the checkpoint, `ObjectStoreError` for the store: there is no new snapshot then, or
    ///   one without the project tree; `SystemError` for the tree.
    @discardableResult
    package func take(
        of path: String, reason: String, final: Bool, project: ProjectArchive? = nil, say: (String) -> Void = { _ in }
    ) throws -> SnapshotManifest {
        var manifest = try take(of: path, reason: reason, final: final)
        guard let project, final || manifest.project == nil else { return manifest }
        let name = prefix + Self.name(of: manifest.position)
        guard let part = try store(project, beside: path, name: name, say: say) else { return manifest }
        manifest.project = part
        try store.put(manifest.bytes, as: name + ".json")
        return manifest
    }

    private func take(of path: String, reason: String, final: Bool) throws -> SnapshotManifest {
        let copy = path + ".snapshot"
        defer { removeFile(copy) }
        try CheckpointCopy.make(of: path, to: copy, job: job)
        guard let position = try CheckpointCopy.position(of: copy) else {
            throw StoreError(.unusable, "the checkpoint \(path) has no event yet")
        }
        let name = prefix + Self.name(of: position)
        // The journal up to an event is one and the same: what is stored of it already stays untouched.
        if var there = try? manifest(name), there.position == position {
            guard final, !there.final else { return there }
            there.final = true
            try store.put(there.bytes, as: name + ".json")
            return there
        }
        let digest = try FileDigest(of: copy)
        try store.put(file: copy, as: name + ".db")
        let manifest = SnapshotManifest(
            job: job, position: position, schema: try CheckpointCopy.schema(of: copy), created: Clock.wall,
            reason: reason, final: final,
            database: .init(key: name + ".db", size: digest.size, sha256: digest.sha256))
        try store.put(manifest.bytes, as: name + ".json")
        return manifest
    }

    /// Removes all but the `keep` newest: first the manifest, so that no snapshot is there in part, then its object; and
    /// objects before the oldest kept that have no manifest.
    ///
    /// - Throws: `ObjectStoreError`.
    package func retain(_ keep: Int) throws(ObjectStoreError) {
        let keys = try store.list(prefix).map(\.key)
        let manifests = keys.filter { $0.hasSuffix(".json") }
        guard manifests.count >= keep, let oldest = manifests.suffix(keep).first?.dropLast(".json".count) else {
            return
        }
        let old = keys.filter { $0 < oldest }
        for key in old where key.hasSuffix(".json") { try store.delete(key) }
        for key in old where !key.hasSuffix(".json") { try store.delete(key) }
    }

    // MARK: Reading

    /// Where the snapshots stand that have a manifest, the newest first.
    ///
    /// - Throws: `ObjectStoreError`.
    package func positions() throws(ObjectStoreError) -> [CheckpointPosition] {
        try store.list(prefix).compactMap { object in
            guard object.key.hasSuffix(".json") else { return nil }
            let parts = object.key.dropFirst(prefix.count).dropLast(".json".count).split(separator: "-")
            guard parts.count == 2, let epoch = Int64(parts[0]), let seq = Int64(parts[1]) else { return nil }
            return CheckpointPosition(epoch: epoch, seq: seq)
        }.sorted(by: >)
    }

    /// Fetches a snapshot's database into a new file, of which everything holds when this returns.
    ///
    /// - Throws: `ObjectStoreError`: `damaged` or `missing` if the snapshot is not whole; `StoreError`: `unusable`
    ///   likewise, `newer` if it is of a later version of this program.
    package func fetch(_ position: CheckpointPosition, to path: String) throws -> SnapshotManifest {
        let name = prefix + Self.name(of: position)
        let manifest = try manifest(of: position)
        try store.get(manifest.database.key, toFile: path, limit: manifest.database.size)
        let digest = try FileDigest(of: path)
        guard digest.size == manifest.database.size, digest.sha256 == manifest.database.sha256 else {
            throw ObjectStoreError(
                .damaged,
                "\(name).db has \(digest.size) bytes and the SHA-256 \(digest.sha256); its manifest says other")
        }
        try CheckpointCopy.check(path, job: job)
        guard try CheckpointCopy.position(of: path) == position else {
            throw ObjectStoreError(.damaged, "\(name).db has the journal of another snapshot")
        }
        return manifest
    }

    /// - Throws: `ObjectStoreError`, `StoreError`, as `fetch`.
    func manifest(of position: CheckpointPosition) throws -> SnapshotManifest {
        let name = prefix + Self.name(of: position)
        let manifest = try manifest(name)
        guard manifest.job == job, manifest.position == position, manifest.database.key == name + ".db",
            (1...Self.databaseLimit).contains(manifest.database.size),
            manifest.project.map({ isArchive($0, of: name) }) ?? true
        else { throw ObjectStoreError(.damaged, "the manifest \(name).json is another snapshot's") }
        return manifest
    }

    private func manifest(_ name: String) throws -> SnapshotManifest {
        let bytes = try store.get(name + ".json", limit: SnapshotManifest.limit)
        guard let manifest = SnapshotManifest(bytes) else {
            throw ObjectStoreError(.damaged, "\(name).json is no manifest")
        }
        guard manifest.format <= SnapshotManifest.format else {
            throw StoreError(
                .newer, "\(name).json has the format \(manifest.format), this program reads \(SnapshotManifest.format)")
        }
        return manifest
    }

    /// Zero padded: the order of the keys is the order of the snapshots.
    private static func name(of position: CheckpointPosition) -> String {
        padded(position.epoch) + "-" + padded(position.seq)
    }
}

/// In twelve digits: the order of the bytes is the order of the numbers.
func padded(_ number: Int64) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, 12 - digits.count)) + digits
}
