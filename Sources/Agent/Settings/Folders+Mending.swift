import Glibc
import LinuxSystem

extension Folders {
    /// Gives the job's folders and files back what a command can have taken from them, and says what that was.
    ///
    /// A command runs under our own user, and Landlock has no hook for chmod(2): it can take the mode from whatever that
    /// user owns, inside its reach and outside. Where one of its two own folders lies in the other, it can also remove it or
    /// put a link there. None of this is a reason to end a job. Only what this user owns is touched, and no link is
    /// followed; what cannot be mended is left to whoever needs it, to say so.
    package func mend(program: String? = nil) -> [String] {
        var mended: [String] = []
        for path in [home, temporary] where makeAnew(path) {
            mended.append("the folder \(path) was gone and has been made again, empty")
        }
        let own = [project, home, temporary, checkpoints, outputs, gasps, verdicts]
        for path in ways(to: own + [secrets]) {
            // What lies above our folders must be passed through, and no more.
            let bits: mode_t = own.contains(path) ? 0o700 : path == secrets ? 0o500 : 0o100
            if giveBack(bits, to: path, kind: S_IFDIR) {
                mended.append("the folder \(path) had lost its mode, and has been given it back")
            }
        }
        for suffix in ["", "-wal", "-shm", ".lock", ".backup", ".backup.1"] {
            _ = giveBack(0o600, to: database + suffix, kind: S_IFREG)
            _ = giveBack(0o600, to: spool + suffix, kind: S_IFREG)
        }
        if let program {
            for path in ways(to: [program]).dropLast() { _ = giveBack(0o100, to: path, kind: S_IFDIR) }
            _ = giveBack(0o500, to: program, kind: S_IFREG)
        }
        return mended
    }

    /// Each of the paths with all that lies above it, from the root down, once.
    private func ways(to paths: [String]) -> [String] {
        var result: [String] = []
        for path in paths {
            var way = ""
            for part in path.split(separator: "/") {
                way += "/" + part
                if !result.contains(way) { result.append(way) }
            }
        }
        return result
    }

    /// Makes a folder that is gone, or has a link in its place. A link is only a name: what it leads to is not touched.
    private func makeAnew(_ path: String) -> Bool {
        var status = stat()
        if lstat(path, &status) == 0 {
            guard status.st_mode & S_IFMT == S_IFLNK, unlink(path) == 0 else { return false }
        } else if errno != ENOENT {
            return false
        }
        return mkdir(path, 0o700) == 0
    }

    /// Adds the bits that are missing to what is there; whether any were.
    private func giveBack(_ bits: mode_t, to path: String, kind: mode_t) -> Bool {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_uid == geteuid(), status.st_mode & bits != bits,
            status.st_mode & S_IFMT == kind
        else { return false }
        return chmod(path, status.st_mode & 0o7777 | bits) == 0
    }
}
