package import LinuxSystem

/// The jail could not be built, or the program not executed: the one error of this target.
///
/// It is a refusal, never a weaker jail: nothing of the command has run.
package struct JailFailure: Error, Equatable, CustomStringConvertible {
    /// Which step failed. The raw value is what the report calls it.
    package enum Stage: String, Sendable, CaseIterable {
        /// The command line.
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
        /// Watching over the command, and killing what is left of it. Here, and only here, the command did run.
        case watch, kill
    }

    package let stage: Stage
    /// errno, or 0 where no system call failed.
    package let code: Int32
    /// What is wrong with which thing, and what to do about it.
    package let message: String

    package init(_ stage: Stage, code: Int32 = 0, _ message: String) {
        self.stage = stage
        self.code = code
        self.message = message
    }

    /// A system call that failed, with what to do about it.
    package init(_ stage: Stage, _ error: SystemError, _ advice: String) {
        self.init(stage, code: error.code, "\(error): \(advice)")
    }

    package var description: String { "\(stage.rawValue): \(message)" }
}
