package import Agent
import Glibc
import LinuxSystem
package import Stores

/// Puts the newest whole snapshot of a job onto a volume whose checkpoint is missing or older.
package struct Restoration {
    private let library: SnapshotLibrary
    private let claims: Claims
    private let job: String
    /// The checkpoint's place.
    private let path: String
    /// Ask a human if commands may have run after the snapshot.
    private let asks: Bool
    /// For people, as it goes.
    private let say: (String) -> Void
    private let project: ProjectRestoration

    package enum Outcome: Equatable {
        /// Neither a snapshot nor a checkpoint: the job's first start.
        case nothing
        /// The volume has what the newest snapshot has, or more.
        case upToDate(CheckpointPosition)
        /// The volume has more than any snapshot, but another one has been at work since.
        case overtaken(CheckpointPosition)
        case restored(SnapshotManifest, hasGoneOn: Bool)
    }

    package init(
        store: any ObjectStore, job: String, checkpoint: String, project: ProjectRestoration, asks: Bool,
        say: @escaping (String) -> Void
    ) {
        library = SnapshotLibrary(store: store, job: job)
        claims = Claims(store: store, job: job, checkpoint: checkpoint)
        self.job = job
        path = checkpoint
        self.asks = asks
        self.project = project
        self.say = say
    }

    /// Can be killed anywhere and run again. The job must not run on this volume.
    ///
    /// - Returns: the outcome, and that of the project tree if it was looked at.
    /// - Throws: `ObjectStoreError`, `StoreError`, `SystemError`; the checkpoint is as it was.
    package func run(version: String, host: String) throws -> (Outcome, ProjectRestoration.Outcome?) {
        let own = own()
        let positions = try library.positions()
        let claimed = try claims.newest()
        // A folder of its own: what a killed restore was fetching is gigabytes, under names that nobody knows.
        let passing = path + ".fetched"
        try removeTree(passing)
        try retrying("mkdir", subject: passing) { mkdir(passing, 0o700) }
        defer { try? removeTree(passing) }
        let fetched = passing + "/database"
        let archive = passing + "/archive"
        var isNewest = true
        for position in positions {
            if let own, own >= position { break }
            let manifest: SnapshotManifest
            do {
                manifest = try library.fetch(position, to: fetched)
            } catch let error as ObjectStoreError where error.kind == .damaged || error.kind == .missing {
                say(
                    "warning: the snapshot \(position.epoch)-\(position.seq) cannot be used (\(error)); taking an older one"
                )
                isNewest = false
                continue
            } catch let error as StoreError where error.kind == .unusable || error.kind == .foreign {
                say(
                    "warning: the snapshot \(position.epoch)-\(position.seq) cannot be used (\(error)); taking an older one"
                )
                isNewest = false
                continue
            }
            // Before the checkpoint: were it killed between the two, the next run would find all of the state there.
            let tree = try project.run(manifest, from: library, by: archive, say: say)
            let hasGoneOn = !manifest.final || !isNewest || (claimed ?? 0) > position.epoch || tree == .damaged
            try replace(
                by: fetched, claimed: claimed, hasGoneOn: hasGoneOn,
                "this volume's checkpoint was missing or older; the snapshot \(position.epoch)-\(position.seq) was put in "
                    + "its place" + (tree == .damaged ? ", without the project tree, whose archive is damaged" : ""),
                version: version, host: host)
            return (.restored(manifest, hasGoneOn: hasGoneOn), tree)
        }
        guard let own else {
            guard !isNewest || claimed != nil else { return (.nothing, nil) }
            throw StoreError(
                .unusable,
                "job \(job) has run (epoch \(claimed ?? 0)) but no whole snapshot of it is left: what it did is not "
                    + "known. Start another JOB_ID, or remove the objects jobs/\(job)/ to begin this one anew")
        }
        // Of a restore that was killed before it knew the claim: there is nothing that anybody did after this state.
        if own == positions.first, (claimed ?? 0) <= own.epoch, try library.manifest(of: own).final {
            try claims.adopt(claimed)
        }
        if try claims.isOurs() {
            // The tree may be lost where the checkpoint is not.
            guard positions.contains(own) else { return (.upToDate(own), nil) }
            let manifest = try library.manifest(of: own)
            return (.upToDate(own), try project.run(manifest, from: library, by: archive, say: say))
        }
        try replace(
            by: path, claimed: claimed, hasGoneOn: true,
            "another volume has taken the job since (epoch \(claimed ?? 0)), and left no newer snapshot",
            version: version, host: host)
        return (.overtaken(own), nil)
    }

    /// Nil if there is none, or none that can be read: it is set aside then, or left to the loop, which has backups.
    private func own() -> CheckpointPosition? {
        guard access(path, F_OK) == 0 else { return nil }
        do throws(StoreError) {
            return try CheckpointCopy.position(of: path)
        } catch {
            say("warning: the checkpoint on this volume cannot be read: \(error)")
            return nil
        }
    }

    private func replace(
        by copy: String, claimed: Int64?, hasGoneOn: Bool, _ reason: String, version: String, host: String
    ) throws {
        try SQLiteCheckpointStore.replace(
            path, job: job, by: copy, reason: reason, epoch: claimed ?? 0, hasGoneOn: hasGoneOn, version: version,
            host: host, asks: asks)
        // After it: a volume with the old state must not know the claim.
        try claims.adopt(claimed)
    }
}
