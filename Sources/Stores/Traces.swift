import Agent
import Glibc
import LinuxSystem

/// What else lies in a checkpoint's folder, seen before the checkpoint is opened.
extension SQLiteCheckpointStore {
    /// Whether there is a file of that name.
    ///
    /// - Throws: `StoreError(.place)` if the name is a symbolic link's: what is renamed to it would not reach the file
    ///   behind it, and one that leads nowhere would pass for a job that has not begun.
    static func isThere(_ path: String) throws(StoreError) -> Bool {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            guard errno == ENOENT else {
                throw StoreError(
                    .place, "the checkpoint \(path) cannot be seen for UID \(getuid()): \(SystemError.last("lstat"))")
            }
            return false
        }
        switch status.st_mode & S_IFMT {
        case S_IFREG: return true
        case S_IFLNK: throw StoreError(.place, "\(path) is a symbolic link; put the checkpoint itself there")
        default: throw StoreError(.place, "\(path) is no file; move it away, or put the checkpoint itself there")
        }
    }

    /// The files that only a job that has begun leaves: without its database it is no new job.
    static func traces(of path: String) -> [String] {
        let folder = folder(of: path)
        let aside = "\(path.dropFirst(folder.utf8.count + 1)).damaged-"
        let damaged = (try? namesInFolder(folder))?.filter { $0.hasPrefix(aside) }.map { "\(folder)/\($0)" } ?? []
        let beside =
            Backup.places(of: path) + [path + "-wal", Reserve(of: path)?.path, Holder.path(of: path)].compactMap { $0 }
        return beside.filter { access($0, F_OK) == 0 } + damaged.suffix(1)
    }

    /// Gives the files of a checkpoint the mode that they were made with: a command, which runs under the same user, can
    /// take it from them (Landlock has no hook for chmod), and not see what is in them.
    static func mendModes(_ path: String) {
        let beside = ["", "-wal", "-shm", ".lock"].map { path + $0 } + [Reserve(of: path)?.path].compactMap { $0 }
        for name in beside + Backup.places(of: path) {
            var status = stat()
            guard lstat(name, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_uid == geteuid(),
                status.st_mode & 0o777 != 0o600
            else { continue }
            _ = chmod(name, 0o600)
        }
    }
}
