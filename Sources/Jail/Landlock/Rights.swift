import Contracts

/// Rights to files, as Landlock names them (linux/landlock.h, LANDLOCK_ACCESS_FS_*).
package struct FileRights: OptionSet, Hashable, Sendable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }

    package static let execute = FileRights(rawValue: 1 << 0)
    package static let writeFile = FileRights(rawValue: 1 << 1)
    package static let readFile = FileRights(rawValue: 1 << 2)
    package static let readFolder = FileRights(rawValue: 1 << 3)
    package static let removeFolder = FileRights(rawValue: 1 << 4)
    package static let removeFile = FileRights(rawValue: 1 << 5)
    package static let makeCharacterDevice = FileRights(rawValue: 1 << 6)
    package static let makeFolder = FileRights(rawValue: 1 << 7)
    package static let makeFile = FileRights(rawValue: 1 << 8)
    package static let makeSocket = FileRights(rawValue: 1 << 9)
    package static let makePipe = FileRights(rawValue: 1 << 10)
    package static let makeBlockDevice = FileRights(rawValue: 1 << 11)
    package static let makeLink = FileRights(rawValue: 1 << 12)
    /// Rename and link between folders (ABI 2).
    package static let refer = FileRights(rawValue: 1 << 13)
    /// ABI 3.
    package static let truncate = FileRights(rawValue: 1 << 14)
    /// ioctl on a device (ABI 5).
    package static let deviceControl = FileRights(rawValue: 1 << 15)
    /// Connect to a socket's path, unless the socket was made in the same domain (ABI 9).
    package static let resolveSocket = FileRights(rawValue: 1 << 16)

    /// All rights that a Landlock of this ABI, at least 6, knows of: what the jail takes away.
    package static func all(abi: Int32) -> FileRights {
        let upToABI5 = FileRights(rawValue: (1 << 16) - 1)
        return abi >= 9 ? upToABI5.union(.resolveSocket) : upToABI5
    }

    package static let read: FileRights = [.readFile, .readFolder]
    package static let readAndExecute: FileRights = [.readFile, .readFolder, .execute]
    /// Everything but making devices, which no build needs.
    package static let readAndWrite: FileRights = [
        .execute, .writeFile, .readFile, .readFolder, .removeFolder, .removeFile, .makeFolder, .makeFile, .makeSocket,
        .makePipe, .makeLink, .refer, .truncate,
    ]
    /// A device such as /dev/null or a terminal.
    package static let device: FileRights = [.readFile, .writeFile, .readFolder, .truncate, .deviceControl]

    /// The rights that can be granted on what is not a folder; landlock_add_rule says EINVAL to others.
    package static let ofFiles: FileRights = [
        .execute, .writeFile, .readFile, .truncate, .deviceControl, .resolveSocket,
    ]
}

extension FileRights {
    init(_ access: JailGrants.Access) {
        self =
            switch access {
            case .readAndWrite: .readAndWrite
            case .device: .device
            case .readAndExecute: .readAndExecute
            case .read: .read
            }
    }
}

/// Rights to TCP ports (LANDLOCK_ACCESS_NET_*, ABI 4). A grant would be by port, for every host: there is none.
package struct NetworkRights: OptionSet, Hashable, Sendable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }

    package static let bind = NetworkRights(rawValue: 1 << 0)
    package static let connect = NetworkRights(rawValue: 1 << 1)
}

/// What may not cross the border of a domain outwards (LANDLOCK_SCOPE_*, ABI 6).
package struct Scopes: OptionSet, Hashable, Sendable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }

    package static let abstractSockets = Scopes(rawValue: 1 << 0)
    package static let signals = Scopes(rawValue: 1 << 1)
}
