extension JailReport.End {
    /// The code for a command of which it is not known how it ended: 123, which no shell gives by itself.
    package static let lostCode: Int32 = 123

    /// What a shell would give for it: the command's own code, 128 + n if signal n ended it, 124 at the time limit,
    /// 127 if the program is not there, 126 if it cannot be executed, 137 if it was killed on request or for using too
    /// much. Two codes are the jail's own: 125 if the command did not start, so that nothing of it has run, and 123 if
    /// it was started and its end is not known.
    package var exitCode: Int32 {
        switch self {
        case .exited(let code): code
        case .signaled(let signal): 128 + signal
        case .timedOut: 124
        case .cancelled, .exhausted: 137
        // ENOENT and ENOTDIR (asm-generic/errno-base.h).
        case .notStarted(.execute, let code, _): code == 2 || code == 20 ? 127 : 126
        case .notStarted: 125
        case .lost: Self.lostCode
        }
    }
}
