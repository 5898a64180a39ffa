package import Contracts
package import LinuxSystem

/// The jail could not be built, or the program not executed: the one error of this target.
///
/// It is a refusal, never a weaker jail: nothing of the command has run.
package struct JailFailure: Error, Equatable, CustomStringConvertible {
    /// Which step failed.
    package let stage: JailStage
    /// errno, or 0 where no system call failed.
    package let code: Int32
    /// What is wrong with which thing, and what to do about it.
    package let message: String

    package init(_ stage: JailStage, code: Int32 = 0, _ message: String) {
        self.stage = stage
        self.code = code
        self.message = message
    }

    /// A system call that failed, with what to do about it.
    package init(_ stage: JailStage, _ error: SystemError, _ advice: String) {
        self.init(stage, code: error.code, "\(error): \(advice)")
    }

    package var description: String { "\(stage.rawValue): \(message)" }
}
