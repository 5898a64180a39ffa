import Agent
import Glibc
import LinuxSystem
import SQLite

extension SQLiteCheckpointStore {
    /// SQLite's error as the contract's.
    static func failure(_ error: SQLiteError, _ path: String) -> StoreError {
        if error.isFull { return full(path, error.description) }
        if error.isCorrupt || error.isSchema {
            return StoreError(
                .unusable, "the checkpoint \(path) is damaged (\(error)); it is left as it is: restore it from a backup"
            )
        }
        if error.cannotOpen, !isOfStorage(error, path) {
            return StoreError(.place, "the checkpoint \(path) cannot be opened for UID \(getuid()) (\(error))")
        }
        return StoreError(.inputOutput, "the checkpoint \(path) fails (\(error)); check the volume and start again")
    }

    /// The file cannot be opened because of what it lies on, and not because of what it is.
    private static func isOfStorage(_ error: SQLiteError, _ path: String) -> Bool {
        SystemError("open", code: error.systemCode).isStorageFailure || isReadOnlyFileSystem(folder(of: path))
    }

    /// An error of the file system as the contract's; `what` could not be done.
    static func failure(_ error: SystemError, _ path: String, _ what: String) -> StoreError {
        if error.code == ENOSPC || error.code == EDQUOT { return full(path, "\(what): \(error)") }
        return StoreError(.inputOutput, "\(what): \(error); check the volume and start again")
    }

    /// The disk is full: how full, and what to do.
    private static func full(_ path: String, _ cause: String) -> StoreError {
        var space = statvfs()
        var rest = ""
        if statvfs(folder(of: path), &space) == 0 {
            let (free, all) = ((space.f_bavail * space.f_frsize) >> 20, (space.f_blocks * space.f_frsize) >> 20)
            rest = "; \(free) of \(all) MiB are free"
        }
        return StoreError(
            .full,
            "the disk of the checkpoint \(path) is full (\(cause)\(rest)): make it larger, or delete on its volume what is "
                + "not needed until 16 MiB are free, and start the job again; it goes on where it is")
    }

    static func folder(of path: String) -> String {
        path.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 }
    }
}
