package import Contracts

/// Why the gateway cannot begin or go on: its exit code, and what to do about it.
package struct GatewayError: Error, Equatable, CustomStringConvertible {
    package let exit: ExitCode
    package let description: String

    package init(_ exit: ExitCode, _ description: String) {
        self.exit = exit
        self.description = description
    }
}
