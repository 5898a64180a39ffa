package import Contracts
import Glibc
import LinuxSystem

/// Ends a command before it has filled a volume that it can write, or that the checkpoint lies on: in bytes or in files.
///
/// A commit that finds no room stops the job, and a full home or temporary folder stops every later command. Watched is
/// what `JailGrants` lets the command write, the project in either profile, and `watchedFolder`: five volumes at most,
/// each once. On a volume of many names the words have the first: project, checkpoint, home, temporary folder, /dev/shm.
///
/// Not watched: a network file system, and a /dev/shm of its own of at most `smallSharedMemory`. That is a piece of memory
/// which the pod has set aside for programs to fill, and they expect its end (ENOSPC). Nothing of ours lies there, and the
/// memory guard counts it. A larger one, as a host's half of all memory, is watched as any volume.
///
/// It is a look, not a wall: one system call (fallocate) can take all there is between two looks. Then the command is
/// ended all the same, and the job waits (exit 75) until there is room. A look is one statvfs for each volume, a few
/// microseconds.
package struct DiskGuard {
    private struct Volume {
        let path: String
        /// Bytes and files that must stay free.
        let bytes: Int64
        let files: Int64
    }

    private let volumes: [Volume]

    /// How fast a volume can fill: 2 GB/s, in bytes a millisecond.
    private static let fastest: Int64 = 2_000_000

    /// Bytes: what containers get if they ask for nothing is 64 MiB.
    package static let smallSharedMemory: Int64 = 1 << 30

    package init(_ request: JailRequest) {
        let limits = request.limits
        var volumes: [Volume] = []
        var devices: Set<UInt64> = []
        if limits.diskReserve > 0 {
            let writable = (JailGrants.folders(of: request) + JailGrants.places).filter { $0.access == .readAndWrite }
            for path in [request.project, limits.watchedFolder].compactMap({ $0 }) + writable.map(\.path) {
                // A network file system that hangs would hang the janitor with it, and the time limit too.
                guard (try? FileSystemKind(of: path)) == .local else { continue }
                var status = stat()
                guard stat(path, &status) == 0, devices.insert(UInt64(status.st_dev)).inserted,
                    let space = Space(path)
                else { continue }
                if path == JailGrants.sharedMemory, space.totalBytes <= Self.smallSharedMemory { continue }
                // Half of what is there at the start at least may be used: a full volume must not keep the command from
                // running that would clear it.
                volumes.append(
                    Volume(
                        path: path, bytes: min(limits.diskReserve << 20, space.totalBytes / 10, space.freeBytes / 2),
                        files: min(1000, space.totalFiles / 50, space.freeFiles / 2)))
            }
        }
        self.volumes = volumes
    }

    /// - Returns: why the command has to be ended now, if it has; and in how many milliseconds to look again.
    package func look() -> (reason: String?, again: Int64) {
        var again: Int64 = 1000
        for volume in volumes {
            guard let space = Space(volume.path) else { continue }
            if space.freeBytes < volume.bytes {
                let rest = "\(mebibytes(space.freeBytes)) of \(mebibytes(space.totalBytes)) MiB"
                return ("the volume of \(volume.path) has only \(rest) left", 0)
            }
            if space.totalFiles > 0, space.freeFiles < volume.files {
                return ("the volume of \(volume.path) has room for only \(space.freeFiles) more files", 0)
            }
            again = min(again, max(5, min(50, (space.freeBytes - volume.bytes) / Self.fastest)))
        }
        return (nil, again)
    }

    /// What a volume has, for a user without privilege. Files are 0 where it does not count them.
    private struct Space {
        let freeBytes: Int64
        let totalBytes: Int64
        let freeFiles: Int64
        let totalFiles: Int64

        init?(_ path: String) {
            var status = statvfs()
            guard statvfs(path, &status) == 0 else { return nil }
            let block = Int64(clamping: status.f_frsize)
            freeBytes = Int64(clamping: status.f_bavail).multipliedReportingOverflow(by: block).partialValue
            totalBytes = Int64(clamping: status.f_blocks).multipliedReportingOverflow(by: block).partialValue
            freeFiles = Int64(clamping: status.f_favail)
            totalFiles = Int64(clamping: status.f_files)
        }
    }
}
