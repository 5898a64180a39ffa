/// What the command line asks for.
package enum Invocation: Equatable, Sendable {
    case help
    case runHelp
    case version
    /// `run` alone: supervise the agent.
    case runAgent
    /// `run COMMAND…`: supervise that; its arguments begin at this index of argv.
    case runCommand(at: Int)
    /// Anything else, `help` too, is for `agentd`.
    case agentd

    /// A command line that asks for nothing we know: exit 64.
    package struct Wrong: Error, Equatable, CustomStringConvertible {
        package let description: String
    }

    /// Reads argv, the program's name included.
    package init(_ arguments: [String]) throws(Wrong) {
        guard arguments.count > 1 else {
            self = .help
            return
        }
        switch arguments[1] {
        case "--help", "-h": self = .help
        case "--version": self = .version
        case "run": self = try Self.run(arguments)
        case let word where word.hasPrefix("-") || word.isEmpty:
            throw Wrong(description: "\"\(word)\" is no option; agent-init SUBCOMMAND, or agent-init --help")
        default: self = .agentd
        }
    }

    private static func run(_ arguments: [String]) throws(Wrong) -> Invocation {
        guard arguments.count > 2 else { return .runAgent }
        switch arguments[2] {
        case "--help", "-h": return .runHelp
        case "--":
            guard arguments.count > 3 else {
                throw Wrong(description: "there is no command after \"run --\"; agent-init run -- COMMAND [ARGUMENT…]")
            }
            return .runCommand(at: 3)
        case let word where word.hasPrefix("-"):
            throw Wrong(
                description: "\"\(word)\" is no option of run; for a command of that name: agent-init run -- \(word)")
        default: return .runCommand(at: 2)
        }
    }
}
