import Glibc
import LinuxSystem

/// Room that is kept on the checkpoint's volume for the last commits of a job whose disk is full: a file with blocks of
/// its own, `job_<id>.reserve`. What the job has done and why it stops finds a place in it, whoever filled the rest.
struct Reserve {
    let path: String

    /// In bytes. A commit is seldom more than some KiB; the log's spool, on the same volume, has a use for it too.
    static let size: Int = 8 << 20

    /// Nil for a file that is not a job's checkpoint by its name: a copy that is being made.
    init?(of database: String) {
        guard database.hasSuffix(".db") else { return nil }
        path = database.dropLast(3) + ".reserve"
    }

    /// Makes the file if it is not there whole.
    ///
    /// - Throws: `SystemError`, ENOSPC or EDQUOT if there is no room; there is no file then.
    func make() throws(SystemError) {
        let file = Descriptor(
            adopting: try retrying("open", subject: path) {
                open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
            })
        var status = stat()
        try retrying("fstat", subject: path) { fstat(file.number, &status) }
        // st_blocks counts in 512 bytes (stat(3type)): a file with holes has no room.
        if status.st_size == Self.size, Int(status.st_blocks) * 512 >= Self.size { return }
        // It gives the error back, and not by errno; where the file system has no such call glibc writes to each block.
        var code = posix_fallocate(file.number, 0, Self.size)
        while code == EINTR { code = posix_fallocate(file.number, 0, Self.size) }
        guard code == 0 else {
            free()
            throw SystemError("fallocate", code: code, subject: path)
        }
    }

    func free() { _ = unlink(path) }
}
