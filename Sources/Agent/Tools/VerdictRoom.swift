import Glibc
import LinuxSystem

/// Where a program runs whose word counts: a todo's check, the acceptance, and grep and find of our own tools.
///
/// A command can write its home, and so put programs, startup files and settings there that others find before the
/// image's. None of that may decide whether a job is complete. So such a program is started by its path in the image, in a
/// home and a temporary folder that are made for it and lie where no other command can write, with an environment that
/// leads nowhere else. What it looks at, the project tree, is the command's own work, and is what is judged.
///
/// The shared temporary folder is granted to it too: scripts name `/tmp` where they mean a place to write.
struct VerdictRoom {
    let folder: String

    var home: String { folder + "/home" }
    var temporary: String { folder + "/tmp" }

    /// Makes the room anew: what an earlier program left in it is gone.
    ///
    /// - Throws: `SystemError`.
    func prepare() throws(SystemError) {
        // The folder itself stays: this process was confined to what it was at the start.
        try makeFolder(folder, mode: 0o700)
        try emptyFolder(folder)
        for path in [home, temporary] { try makeFolder(path, mode: 0o700) }
    }

    /// The file of a program in the image: the first in its folders; the name itself, which is not found, if there is none.
    static func program(_ name: String) -> String {
        let places = CommandEnvironment.systemPath.map { $0 + "/" + name }
        return places.first { access($0, X_OK) == 0 } ?? places[0]
    }

    /// Bash with a command line, and nothing that it reads by itself.
    static func shell(_ command: String) -> [String] { [program("bash"), "--noprofile", "--norc", "-c", command] }
}
