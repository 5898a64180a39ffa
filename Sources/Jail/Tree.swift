import CLinux
import Glibc
import LinuxSystem

/// The processes of a command, as their janitor sees them: as children, its own or those it has inherited.
///
/// The janitor is their subreaper: whatever loses its parent becomes its child. So they are all gone exactly when
/// wait(2) knows of no child any more.
struct Tree {
    /// The command's own process.
    let main: Int32
    /// How it ended; nil as long as it runs.
    private(set) var mainEnd: ProcessEnd?
    private(set) var isGone = false
    /// How many had to be killed.
    private(set) var killed = 0
    /// From when on a death by SIGKILL is the janitor's doing.
    var isBeingKilled = false

    init(main: Int32) { self.main = main }

    /// Takes in all that have ended, without waiting.
    mutating func reap() {
        while true {
            var status: Int32 = 0
            let pid = cjail_reap(&status)
            guard pid > 0 else {
                isGone = pid < 0
                return
            }
            let end = ProcessEnd(status: status)
            if pid == main { mainEnd = end }
            if isBeingKilled, end == .signaled(SIGKILL) { killed += 1 }
        }
    }
}
