import Glibc
import LinuxSystem

/// A file in the making: whole under its final name, or not there.
///
/// It lies beside its final place (Landlock lets nobody rename between folders without LANDLOCK_ACCESS_FS_REFER), under
/// a name that is no key's. What a killed process has left there goes an hour after its last write. One thread only.
final class NewFile {
    /// No key has it in its letters.
    static let mark = "~"
    private static let staleAfter: Int64 = 3_600_000

    private let path: String
    private let temporary: String
    private let descriptor: Descriptor
    private(set) var size: Int64 = 0

    /// Begins the file in its folder, which must exist.
    init(_ path: String) throws(SystemError) {
        self.path = path
        let folder = Self.folder(of: path)
        let temporary = "\(folder)/\(Self.mark)\(String(UInt64.random(in: 0 ... .max), radix: 36))"
        descriptor = Descriptor(
            adopting: try retrying("open", subject: temporary) {
                open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            })
        self.temporary = temporary
        removeStale(in: folder)
    }

    /// Takes the temporary file away, whatever has become of it.
    deinit { _ = unlink(temporary) }

    func write(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        try writeAll(descriptor.number, bytes)
        size += Int64(bytes.count)
    }

    func write(_ bytes: [UInt8]) throws(SystemError) {
        try writeAll(descriptor.number, bytes)
        size += Int64(bytes.count)
    }

    /// Begins again with an empty file.
    func restart() throws(SystemError) {
        try retrying("ftruncate", subject: temporary) { ftruncate(descriptor.number, 0) }
        guard lseek(descriptor.number, 0, SEEK_SET) == 0 else { throw SystemError.last("lseek", subject: temporary) }
        size = 0
    }

    /// Puts the file in its place, over what is there. It is on the disk when this returns.
    func replace() throws(SystemError) {
        try retrying("fsync", subject: path) { fsync(descriptor.number) }
        try retrying("rename", subject: path) { rename(temporary, path) }
        try Self.synchronizeFolder(of: path)
    }

    /// Puts the file in its place if there is none: link(2) is atomic, and never replaces.
    ///
    /// - Throws: `SystemError`; EEXIST if there is one.
    func place() throws(SystemError) {
        try retrying("fsync", subject: path) { fsync(descriptor.number) }
        try retrying("link", subject: path) { link(temporary, path) }
        try Self.synchronizeFolder(of: path)
    }

    static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// A name is on the disk only when its folder is (fsync(2)).
    static func synchronizeFolder(of path: String) throws(SystemError) {
        let folder = folder(of: path)
        let opened = Descriptor(
            adopting: try retrying("open", subject: folder) { open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) })
        try retrying("fsync", subject: folder) { fsync(opened.number) }
    }

    /// The folder's own time, which this file has just got, and not ours: several pods may write there, by several clocks.
    private func removeStale(in folder: String) {
        var own = stat()
        guard fstat(descriptor.number, &own) == 0 else { return }
        for name in (try? namesInFolder(folder)) ?? [] where name.hasPrefix(Self.mark) {
            let path = folder + "/" + name
            var status = stat()
            guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
            if Int64(status.st_mtim.tv_sec) * 1000 < Int64(own.st_mtim.tv_sec) * 1000 - Self.staleAfter {
                _ = unlink(path)
            }
        }
    }
}
