import Agent
import Glibc
import LinuxSystem

/// Puts the project tree of a snapshot in its place, if there is none: extracted into a folder beside it, which then
/// gets its name.
package struct ProjectRestoration {
    package enum Outcome: String, Sendable {
        case restored
        /// The snapshot has no archive of it.
        case absent = "not_in_snapshot"
        /// The folder holds something; it was left as it is.
        case kept
        /// Its archive is damaged or gone.
        case damaged
        /// It is not to be restored (AGENT_SNAPSHOT_PROJECT=never).
        case off
    }

    private let path: String
    private let isOff: Bool
    private var staging: String { path + ".restoring" }

    /// `path` is the project folder.
    package init(path: String, isOff: Bool) {
        self.path = path
        self.isOff = isOff
    }

    /// Can be killed anywhere and run again: the folder is as it was, or has the whole tree. The archive is fetched to
    /// `file`, which is removed again.
    ///
    /// - Returns: what was done.
    /// - Throws: `ObjectStoreError` if the store is out of reach, `SystemError`.
    func run(
        _ manifest: SnapshotManifest, from library: SnapshotLibrary, by file: String, say: (String) -> Void
    ) throws -> Outcome {
        guard !isOff else { return .off }
        // Of a restore that was killed.
        try removeTree(staging)
        guard try isEmpty() else { return .kept }
        guard let part = manifest.project else { return .absent }
        defer { unlink(file) }
        do {
            try library.fetch(part, to: file)
            try retrying("mkdir", subject: staging) { mkdir(staging, 0o755) }
            var extraction = try ProjectExtraction(into: staging)
            try extraction.run(file)
        } catch let error as ObjectStoreError where error.kind == .damaged || error.kind == .missing {
            try removeTree(staging)
            say("warning: the project tree cannot be restored: \(error)")
            return .damaged
        } catch {
            try? removeTree(staging)
            throw error
        }
        // A node that loses power after the rename must not have a tree of empty files.
        sync()
        // rename(2) replaces a folder only if it is empty.
        guard rename(staging, path) == 0 else {
            let error = SystemError.last("rename", subject: "\(staging) to \(path)")
            try? removeTree(staging)
            guard error.code == EBUSY || error.code == EXDEV else { throw error }
            throw ObjectStoreError(
                .refused,
                "the project tree cannot be restored: AGENT_PROJECT_DIR \(path) is a mount of its own (\(error)); let it be "
                    + "a folder inside a volume, or set AGENT_SNAPSHOT_PROJECT=never")
        }
        sync()
        return .restored
    }

    private func isEmpty() throws(SystemError) -> Bool {
        do throws(SystemError) {
            return try namesInFolder(path).isEmpty
        } catch {
            guard error.code == ENOENT else { throw error }
            return true
        }
    }
}
