import Agent
import Glibc
import LinuxSystem

/// The project tree's archive: `<epoch>-<seq>-<digest>.tar`. The digest keeps one object from ever being replaced by
/// another while a manifest names it.
extension SnapshotLibrary {
    /// What a store takes in one request (S3).
    package static let archiveLimit: Int64 = 5 << 30
    /// Of the volume, what stays free beside at least as much again as the archive: more than AGENT_DISK_RESERVE_MIB
    /// asks by default, so that making it ends no running command.
    private static let reserve: Int64 = 128 << 20

    /// Makes the archive beside the checkpoint, stores it and removes it here.
    ///
    /// - Returns: nil if the tree is too large, which is said.
    func store(
        _ project: ProjectArchive, beside checkpoint: String, name: String, say: (String) -> Void
    ) throws -> SnapshotManifest.Part? {
        let file = checkpoint + ".snapshot.tar"
        defer { unlink(file) }
        // What a killed process left takes room.
        unlink(file)
        var volume = statvfs()
        try retrying("statvfs", subject: checkpoint) { statvfs(checkpoint, &volume) }
        let free = Int64(
            clamping: UInt64(volume.f_bavail).multipliedReportingOverflow(by: UInt64(volume.f_frsize)).partialValue)
        let limit = min(Self.archiveLimit, max(0, free - Self.reserve) / 2)
        let outcome = try project.write(to: file, limit: limit)
        guard !outcome.isTooLarge else {
            say(
                "warning: the project tree is not in the snapshot: its archive would be larger than \(limit >> 20) MiB "
                    + "(5 GiB, or half of what is free on the checkpoint's volume); leave more out with "
                    + "AGENT_SNAPSHOT_EXCLUDE, make room, or set AGENT_SNAPSHOT_PROJECT=never")
            return nil
        }
        if outcome.remarkCount > 0 {
            let more = outcome.remarkCount - outcome.remarks.count
            say(
                "warning: of the project tree in the snapshot: " + outcome.remarks.joined(separator: "; ")
                    + (more > 0 ? "; and \(more) more" : ""))
        }
        let digest = try FileDigest(of: file)
        let part = SnapshotManifest.Part(
            key: name + "-" + digest.sha256.prefix(16) + ".tar", size: digest.size, sha256: digest.sha256)
        try store.put(file: file, as: part.key)
        return part
    }

    func isArchive(_ part: SnapshotManifest.Part, of name: String) -> Bool {
        part.key == name + "-" + part.sha256.prefix(16) + ".tar" && (1...Self.archiveLimit).contains(part.size)
    }

    /// Fetches an archive into a new file, of which size and digest hold when this returns.
    ///
    /// - Throws: `ObjectStoreError`: `damaged` or `missing` if it is not whole.
    func fetch(_ part: SnapshotManifest.Part, to path: String) throws {
        try store.get(part.key, toFile: path, limit: part.size)
        guard try FileDigest(of: path) == FileDigest(size: part.size, sha256: part.sha256) else {
            throw ObjectStoreError(.damaged, "\(part.key) is not what its manifest says")
        }
    }
}
