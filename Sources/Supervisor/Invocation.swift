/// What the command line asks for.
package enum Invocation: Equatable, Sendable {
    /// Nothing: help that nobody has asked for is no success.
    case nothing
    case help
    case runHelp
    case version
    /// `run` alone: supervise the agent.
    case runAgent
    /// `run [OPTION…] COMMAND…`: supervise that; its arguments begin at this index of argv.
    case runCommand(at: Int, CommandOptions)
    /// Anything else, `help` too, is for `agentd`.
    case agentd

    /// A command line that asks for nothing we know: exit 64.
    package struct Wrong: Error, Equatable, CustomStringConvertible {
        package let description: String
    }

    /// Reads argv, the program's name included.
    package init(_ arguments: [String]) throws(Wrong) {
        guard arguments.count > 1 else {
            self = .nothing
            return
        }
        switch arguments[1] {
        case "--help", "-h": self = .help
        case "--version": self = .version
        case "help" where arguments.dropFirst(2).first == "run": self = .runHelp
        case "run": self = try Self.run(arguments)
        case let word where word.hasPrefix("-") || word.isEmpty:
            throw Wrong(description: "\"\(word)\" is no option; agent-init SUBCOMMAND, or agent-init --help")
        default: self = .agentd
        }
    }

    private static func run(_ arguments: [String]) throws(Wrong) -> Invocation {
        guard arguments.count > 2 else { return .runAgent }
        if ["--help", "-h"].contains(arguments[2]) { return .runHelp }
        var rest = arguments[2...]
        var options = CommandOptions()
        try options.take(from: &rest)
        if rest.first == "--" {
            rest.removeFirst()
        } else if let word = rest.first, Help.subcommands.contains(where: { $0.name == word }) {
            throw Wrong(
                description:
                    "\"run \(word)\" would run a program of that name; for the subcommand: agent-init \(word); "
                    + "for the program: agent-init run -- \(word)")
        }
        guard !rest.isEmpty else {
            throw Wrong(
                description: "there is no command after \"\(arguments[arguments.count - 1])\"; "
                    + "agent-init run [OPTION…] -- COMMAND [ARGUMENT…]")
        }
        return .runCommand(at: rest.startIndex, options)
    }
}
