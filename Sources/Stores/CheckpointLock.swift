import Agent
import Glibc
import LinuxSystem

/// Lets one process at a time make, migrate, repair or back up a checkpoint's files: what is done by names, where
/// SQLite's own locks do not reach. flock(2) on `<path>.lock`; the kernel gives it back when its holder dies.
enum CheckpointLock {
    /// How long another may take, in milliseconds: a repair copies the database and checks all of it.
    static let patience: Int64 = 30_000

    /// Does `body` while no other process is in here.
    ///
    /// - Throws: what `body` throws; `StoreError(.inputOutput)` if another holds it for longer than `patience`, `place` if
    ///   the file cannot be made.
    static func with<Result>(
        _ path: String, patience: Int64 = CheckpointLock.patience, _ body: () throws(StoreError) -> Result
    ) throws(StoreError) -> Result {
        let name = path + ".lock"
        let number: Int32
        do throws(SystemError) {
            number = try retrying("open", subject: name) {
                open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
            }
        } catch {
            let problem = "the checkpoint \(path) cannot be locked for UID \(getuid())"
            guard [EACCES, EPERM, ENOENT, ENOTDIR, EISDIR, ELOOP].contains(error.code) else {
                throw SQLiteCheckpointStore.failure(error, path, problem)
            }
            throw StoreError(.place, "\(problem): \(error)")
        }
        let file = Descriptor(adopting: number)
        let limit = Deadline.after(milliseconds: patience)
        while flock(file.number, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR, !limit.hasPassed else {
                throw StoreError(
                    .inputOutput,
                    "another process is opening or copying the checkpoint \(path) (\(name) is held); this one stops")
            }
            _ = poll(nil, 0, 20)
        }
        // A value without copies may go after its last use: this one is to last until `body` is done.
        defer { _ = file.number }
        return try body()
    }
}
