/// Every place outside of the job's own folders that a command is granted, in every profile, as far as it exists.
///
/// The one list: the jail's rules grant these and no others, the check at a start refuses secrets and checkpoints that lie
/// in one of them, and `doctor` shows them. Landlock cannot deny a folder inside an allowed one.
package enum JailGrants {
    /// What a command may do beneath a place.
    package enum Access: String, Sendable, CaseIterable {
        case readAndWrite = "read and write"
        /// Read, write and ioctl; nothing can be made there.
        case device = "use as a device"
        case readAndExecute = "read and execute"
        case read
    }

    package struct Place: Equatable, Sendable {
        package let path: String
        package let access: Access
    }

    package static let places: [Place] =
        [Place(path: sharedMemory, access: .readAndWrite)] + devices.map { Place(path: $0, access: .device) }
        + programs.map { Place(path: $0, access: .readAndExecute) }
        + (kernel + packages).map { Place(path: $0, access: .read) }

    /// The job's own folders, as a command of this request is granted them besides `places`.
    package static func folders(of request: JailRequest) -> [Place] {
        [
            Place(path: request.project, access: request.profile == .tactical ? .readAndWrite : .readAndExecute),
            Place(path: request.home, access: .readAndWrite), Place(path: request.temporary, access: .readAndWrite),
        ] + request.tools.map { Place(path: $0, access: .readAndExecute) }
    }

    /// A tmpfs of the pod. Python's multiprocessing and browsers need it.
    package static let sharedMemory = "/dev/shm"

    /// Without ptmx and pts openpty(3) does not work.
    package static let devices = [
        "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/pts",
    ]

    /// Where images keep programs and their settings.
    package static let programs = [
        "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/etc",
    ]

    package static let kernel = ["/proc", "/sys"]

    /// What the image's package managers know of it: `dpkg -l`, `apt list`, `rpm -qa`. Not debconf, which holds passwords.
    package static let packages = ["/var/lib/dpkg", "/var/lib/apt", "/var/cache/apt", "/var/lib/rpm"]

    /// What holds files of the image or of the kernel that are not to be written.
    package static let systemFolders = programs + kernel + packages
}
