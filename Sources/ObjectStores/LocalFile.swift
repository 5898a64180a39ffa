import Agent
import Glibc
import LinuxSystem

/// A regular file of ours that is to be stored, open for reading.
struct LocalFile: ~Copyable {
    private let descriptor: Descriptor
    /// Bytes, when it was opened.
    let size: Int64

    var number: Int32 { descriptor.number }

    /// - Throws: `refused` if it cannot be read: that is no fault of the store's.
    init(_ path: String) throws(ObjectStoreError) {
        do throws(SystemError) {
            let opened = Descriptor(
                adopting: try retrying("open", subject: path) { open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) })
            var status = stat()
            try retrying("fstat", subject: path) { fstat(opened.number, &status) }
            guard status.st_mode & S_IFMT == S_IFREG else {
                throw SystemError("read", code: EINVAL, subject: path)
            }
            descriptor = opened
            size = Int64(status.st_size)
        } catch {
            throw ObjectStoreError(.refused, "the file \(path) that is to be stored cannot be read: \(error)")
        }
    }

    /// A target whose folder is missing is asked wrongly; `missing` would say that there is no object.
    static func absent(_ error: SystemError) -> SystemError {
        error.code == ENOENT ? SystemError(error.call, code: ENOTDIR, subject: error.subject) : error
    }
}
