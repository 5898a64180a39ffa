package import Contracts

/// A start that cannot be made: what is wrong, with which setting, and what to do; and the exit code for it.
package struct StartError: Error, Equatable, CustomStringConvertible {
    package let exit: ExitCode
    package let description: String

    package init(_ exit: ExitCode, _ description: String) {
        self.exit = exit
        self.description = description
    }

    /// A setting whose value is not accepted.
    static func setting(_ name: String, _ problem: String, accepted: String) -> StartError {
        StartError(.configuration, "\(name) \(problem); accepted: \(accepted)")
    }
}
