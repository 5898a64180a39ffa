import Glibc

/// Removes what is there under that name, a folder with all that is in it, following no link; nothing is no error.
///
/// For a folder that nobody else writes to meanwhile. What is in it may be anything that a program can make: folders
/// without a mode, a million files, folders in folders to a depth that no path can name.
///
/// - Throws: `SystemError` if something cannot be removed; what could be is gone then.
package func removeTree(_ path: String) throws(SystemError) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFDIR else {
        try retrying("unlink", subject: path) { unlink(path) }
        return
    }
    try emptyFolder(path)
    try retrying("rmdir", subject: path) { rmdir(path) }
}

/// Removes all that is in a folder, as `removeTree`.
///
/// Folders within folders are moved up to it, one level at a time: so neither a descriptor nor a path of ours grows with
/// their depth.
package func emptyFolder(_ path: String) throws(SystemError) {
    try retrying("chmod", subject: path) { chmod(path, 0o700) }
    let root = try folder(AT_FDCWD, Array(path.utf8CString), subject: path)
    var moved = 0
    while case let names = try someNames(of: root.number, subject: path), !names.isEmpty {
        for name in names where !isRemoved(root.number, name) {
            // Not a link: unlink(2) would have removed one.
            try retrying("chmod", subject: path) { fchmodat(root.number, name, 0o700, 0) }
            let inner = try folder(root.number, name, subject: path)
            while case let inside = try someNames(of: inner.number, subject: path), !inside.isEmpty {
                for other in inside where !isRemoved(inner.number, other) {
                    moved = try move(other, of: inner.number, to: root.number, after: moved, subject: path)
                }
            }
            try retrying("rmdir", subject: path) { unlinkat(root.number, name, removeFolder) }
        }
    }
}

/// AT_REMOVEDIR of fcntl.h, which Swift's Glibc module leaves out.
private let removeFolder: Int32 = 0x200

/// A name as the kernel has it: it need not be UTF-8. With its zero byte.
private typealias Name = [CChar]

/// Removes a file or an empty folder; false if that cannot be done.
private func isRemoved(_ folder: Int32, _ name: Name) -> Bool {
    unlinkat(folder, name, 0) == 0 || unlinkat(folder, name, removeFolder) == 0
}

/// Moves a folder up, under the next name that is free there, and returns the name's number.
private func move(
    _ name: Name, of folder: Int32, to root: Int32, after last: Int, subject: String
) throws(SystemError) -> Int {
    // A folder gets another "..", so it must be writable itself (rename(2), EACCES).
    try retrying("chmod", subject: subject) { fchmodat(folder, name, 0o700, 0) }
    var number = last
    while true {
        number += 1
        if renameat(folder, name, root, ".removed-\(number)") == 0 { return number }
        // rename(2) replaces an empty folder; whatever else has the name stays.
        guard [EEXIST, ENOTEMPTY, ENOTDIR, EINTR].contains(errno) else {
            throw SystemError.last("rename", subject: subject)
        }
    }
}

private func folder(_ parent: Int32, _ name: Name, subject: String) throws(SystemError) -> Descriptor {
    Descriptor(
        adopting: try retrying("open", subject: subject) {
            openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        })
}

/// Names in an open folder, from its beginning: at most 1000, so that memory does not grow with it.
private func someNames(of folder: Int32, subject: String) throws(SystemError) -> [Name] {
    // fdopendir(3) takes the descriptor over; the copy shares its position, which is set back for it.
    let copy = fcntl(folder, F_DUPFD_CLOEXEC, 0)
    guard copy >= 0, let stream = fdopendir(copy) else { throw SystemError.last("fdopendir", subject: subject) }
    defer { closedir(stream) }
    rewinddir(stream)
    var names: [Name] = []
    while names.count < 1000, let entry = readdir(stream) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
        if name != [0x2e], name != [0x2e, 0x2e] { names.append(name.map { CChar(bitPattern: $0) } + [0]) }
    }
    return names
}
