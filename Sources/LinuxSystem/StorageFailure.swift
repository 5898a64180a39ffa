import Glibc

extension SystemError {
    /// The storage beneath a file fails or has gone, whoever asks for it: the platform has to mend it, and then the same
    /// call succeeds. A stale handle of a network volume (ESTALE), a device that fails (EIO) or is away (ENODEV, ENXIO), a
    /// file system that has found itself damaged (EUCLEAN), a server of one that has gone (ENOTCONN of FUSE and Ceph).
    package var isStorageFailure: Bool {
        [EIO, ESTALE, ENODEV, ENXIO, EUCLEAN, ENOTCONN, EREMOTEIO, ESHUTDOWN, EHOSTDOWN, ETIMEDOUT].contains(code)
    }
}

/// Whether the file system that `path` lies on can only be read now. False if that cannot be told.
package func isReadOnlyFileSystem(_ path: String) -> Bool {
    var information = statvfs()
    return statvfs(path, &information) == 0 && information.f_flag & 1 != 0  // ST_RDONLY (statvfs(3))
}
