import CLinux
import Glibc
import LinuxSystem

/// A program that cannot be run, with a shell's exit code for it.
package struct ProgramError: Error, Equatable, CustomStringConvertible {
    package let exitCode: Int32
    package let description: String

    /// The error for `name`: `found` says whether there is such a file, `code` is the errno of looking for it or of
    /// execve(2).
    package init(name: String, found: Bool, code: Int32) {
        let reason = SystemError("execve", code: code).reason
        switch code {
        case EAGAIN, ENOMEM:
            (exitCode, description) = (70, "\(name): no process can be started: \(reason)")
        case ENOENT where found:
            // execve(2) says ENOENT for a script whose "#!" or a program whose loader names a file that is not there.
            (exitCode, description) = (126, "\(name): cannot be executed: its interpreter does not exist")
        case _ where found:
            (exitCode, description) = (126, "\(name): cannot be executed: \(reason)")
        default:
            (exitCode, description) = (127, "\(name): command not found")
        }
    }
}

/// Finds the file for a command's name: itself if it has a slash, else the first executable one in `path`.
///
/// - Throws: `ProgramError`: 127 if there is no such file, 126 if there is one that cannot be executed.
package func findProgram(_ name: String, in path: String) throws(ProgramError) -> String {
    var error = ProgramError(name: name, found: false, code: ENOENT)
    // An empty folder in PATH is the working directory (environ(7)).
    let folders = path.split(separator: ":", omittingEmptySubsequences: false).map { $0.isEmpty ? "." : String($0) }
    let candidates = name.contains("/") ? [name] : name.isEmpty ? [] : folders.map { $0 + "/" + name }
    for candidate in candidates {
        var status = stat()
        if stat(candidate, &status) != 0 {
            if errno != ENOENT, errno != ENOTDIR { error = ProgramError(name: name, found: true, code: errno) }
        } else if status.st_mode & S_IFMT == S_IFDIR {
            error = ProgramError(name: name, found: true, code: EISDIR)
        } else if access(candidate, X_OK) != 0 {
            error = ProgramError(name: name, found: true, code: errno)
        } else {
            return candidate
        }
    }
    throw error
}

/// The file of this name in the folder that our own executable lies in.
///
/// /proc/self/exe has all symbolic links resolved; without /proc it is the path that the kernel was given to execute.
func besideOurselves(_ name: String) -> String {
    var own = canonicalPath("/proc/self/exe")
    if own == "/proc/self/exe" || own.hasSuffix(" (deleted)") {
        own = clinux_executable().map { canonicalPath(String(cString: $0)) } ?? "/"
    }
    let folder = own.split(separator: "/").dropLast().joined(separator: "/")
    return (folder.isEmpty ? "/" : "/" + folder + "/") + name
}
