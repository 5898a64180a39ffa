import CLinux
import Glibc
import LinuxSystem

/// The terminal, lent to the command as long as it runs.
///
/// A command that shares our process group would get ^C twice, from the terminal and from us; so on a terminal it has
/// a group of its own, in the foreground. The terminal then speaks to it alone: ^C, ^Z, a resize each come once.
struct Foreground {
    /// Whether we have the terminal to lend: standard input is one, and our group is in its foreground.
    let isOurs: Bool
    private let group = getpgrp()

    init() { isOurs = isatty(STDIN_FILENO) == 1 && tcgetpgrp(STDIN_FILENO) == getpgrp() }

    /// Takes the terminal back. SIGTTOU, which a process in the background gets for it, is blocked in us.
    func takeBack() { if isOurs { _ = tcsetpgrp(STDIN_FILENO, group) } }

    /// The command has been stopped (^Z): so that the shell that started us sees it, we stop too, without the
    /// terminal; when we go on (`fg`), so does the command, with it.
    ///
    /// As PID 1 we cannot be stopped, and nobody could continue the command: it goes on at once.
    func follow(stopOf pid: Int32) {
        if !isInit {
            takeBack()
            // SIGSTOP cannot be blocked: the next line is run after the SIGCONT.
            _ = kill(getpid(), SIGSTOP)
        }
        // After `bg` the terminal is the shell's, and stays so.
        if isOurs, tcgetpgrp(STDIN_FILENO) == group { _ = tcsetpgrp(STDIN_FILENO, pid) }
        _ = kill(-pid, SIGCONT)
    }
}
