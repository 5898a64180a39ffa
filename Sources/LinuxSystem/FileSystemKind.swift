import CLinux
import Glibc

/// The kind of file system that a path lies on.
package enum FileSystemKind: Equatable, Sendable {
    case local
    /// A network or FUSE file system, by name: WAL's shared memory does not work there (sqlite.org/wal.html).
    case network(String)

    /// The magic numbers of linux/magic.h and of the file systems that define their own.
    private static let networks: [Int64: String] = [
        0x6969: "NFS", 0x517B: "SMB", 0xFF53_4D42: "CIFS", 0xFE53_4D42: "SMB2", 0x0102_1997: "9p",
        0x00C3_6400: "Ceph", 0x5346_414F: "AFS", 0x6B41_4653: "kAFS", 0x7461_636F: "OCFS2", 0x0BD0_0BD0: "Lustre",
        0x0116_1970: "GFS2", 0x4750_4653: "GPFS", 0x6573_5546: "FUSE", 0x1983_0326: "FhGFS",
    ]

    /// - Throws: `SystemError("statfs")`.
    package init(of path: String) throws(SystemError) {
        let type = clinux_filesystem_type(path)
        guard type >= 0 else { throw SystemError("statfs", code: Int32(-type), subject: path) }
        self = Self.networks[type].map { .network($0) } ?? .local
    }
}
