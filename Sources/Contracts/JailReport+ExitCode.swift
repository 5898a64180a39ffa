extension JailReport.End {
    /// What a shell would give for it: the command's own code, 128 + n if signal n ended it, 124 at the time limit,
    /// 127 if the program is not there, 126 if it cannot be executed, 137 if it was killed on request or for using too much, and 125 if the
    /// jail could not be built.
    package var exitCode: Int32 {
        switch self {
        case .exited(let code): code
        case .signaled(let signal): 128 + signal
        case .timedOut: 124
        case .cancelled, .exhausted: 137
        // ENOENT and ENOTDIR (asm-generic/errno-base.h).
        case .failed("exec", let code, _): code == 2 || code == 20 ? 127 : 126
        case .failed: 125
        }
    }
}
