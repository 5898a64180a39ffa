/// The step at which a command could not be started. Whichever it is, nothing of the command has run.
package enum JailStage: String, Sendable, CaseIterable {
    /// The command line of agent-jail.
    case usage
    /// A descriptor that was to be passed in.
    case descriptors
    /// What the kernel or the container must have.
    case kernel
    /// The folders of the request.
    case files
    /// The working directory.
    case directory = "cwd"
    /// The Landlock ruleset or domain.
    case landlock
    /// The system call filter.
    case seccomp
    /// The proof that a signal to all reaches only the command's tree.
    case proof
    /// Starting the child.
    case fork, session, limits, privileges
    /// Executing the program.
    case execute = "exec"
    /// Starting agent-jail itself.
    case start
}
