/// The folders of the image that every profile may read and execute, as far as they exist.
///
/// It stands here because two sides need the same list: the jail that grants them, and the check at start that
/// neither the checkpoints nor the secrets lie in one of them. Landlock cannot deny a folder inside an allowed one.
package enum JailGrants {
    package static let systemFolders = [
        "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/proc", "/sys",
    ]

    /// Read-write in every profile, beside the project tree, the home and the temporary folder.
    package static let sharedMemory = "/dev/shm"
}
