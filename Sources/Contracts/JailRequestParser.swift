/// A command line of `agent-jail` that cannot be understood.
package struct JailUsageError: Error, Equatable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

extension JailRequest {
    /// Parses a command line, without the program's own name: the inverse of `arguments`.
    ///
    /// - Throws: `JailUsageError` that names the option and what is accepted. Every option but `--env` and `--tools` at most once.
    package init(arguments: [String]) throws(JailUsageError) {
        var options = GivenOptions()
        var environment: [String] = []
        var tools: [String] = []
        var rest = arguments[...]
        while let option = rest.popFirst(), option != "--" {
            guard Self.isOption(option) else { throw JailUsageError("unknown option \(option)") }
            guard let value = rest.popFirst() else { throw JailUsageError("\(option) needs a value") }
            if option == "--env" {
                // By bytes: "=" and a combining mark that begins the value are one Character, which is not "=".
                guard let mark = value.utf8.firstIndex(of: UInt8(ascii: "=")), mark != value.startIndex else {
                    throw JailUsageError("--env \(value): NAME=value is wanted")
                }
                environment.append(value)
            } else if option == "--tools" {
                tools.append(try Self.absolute(option, value))
            } else if !options.add(option, value) {
                throw JailUsageError("\(option) is given twice")
            }
        }
        guard !rest.isEmpty else { throw JailUsageError("no command: … -- PROGRAM [ARGUMENT …]") }
        let profileName = try Self.needed("--profile", options)
        guard let profile = JailProfile(rawValue: profileName) else {
            let known = JailProfile.allCases.map(\.rawValue).joined(separator: ", ")
            throw JailUsageError("--profile \(profileName): one of \(known) is wanted")
        }
        let timeout = try Self.number(
            "--timeout-ms", try Self.needed("--timeout-ms", options), 1...Self.longestWait)
        let grace = try Self.number("--grace-ms", try Self.needed("--grace-ms", options), 0...Self.longestWait)
        self.init(
            profile: profile,
            project: try Self.absolute("--project", try Self.needed("--project", options)),
            home: try Self.absolute("--home", try Self.needed("--home", options)),
            temporary: try Self.absolute("--tmp", try Self.needed("--tmp", options)),
            timeout: timeout, grace: grace, environment: environment, command: Array(rest))
        self.tools = tools
        if let value = options["--cwd"] { workingDirectory = try Self.absolute("--cwd", value) }
        if let value = options["--network"] {
            guard let policy = NetworkPolicy(value) else {
                throw JailUsageError(
                    "--network \(value): none, open, or a comma list of ADDRESS:PORT, ADDRESS/BITS:PORT, [IPV6]:PORT is"
                        + " wanted; the port may be *")
            }
            network = policy
        }
        if let value = options["--listen"] {
            guard let mode = NetworkListening(value) else {
                throw JailUsageError("--listen \(value): none, loopback, or an even address of 127.64.0.0/10 is wanted")
            }
            listening = mode
        }
        if let value = options["--report-fd"] {
            reportDescriptor = try Self.number("--report-fd", value, 3...Int32.max)
        }
        if let value = options["--control-fd"] {
            controlDescriptor = try Self.number("--control-fd", value, 3...Int32.max)
        }
        if let value = options["--terminal-fd"] { terminalDescriptor = try Self.number("--terminal-fd", value, 0...2) }
        limits = try JailLimits(options: options)
    }

    private static func isOption(_ name: String) -> Bool {
        switch name {
        case "--profile", "--project", "--home", "--tmp", "--cwd", "--network", "--listen", "--timeout-ms",
            "--grace-ms", "--report-fd", "--control-fd", "--terminal-fd", "--env",
            "--tools":
            true
        default: JailLimits.isOption(name)
        }
    }

    private static func needed(_ option: String, _ options: GivenOptions) throws(JailUsageError) -> String {
        guard let value = options[option] else { throw JailUsageError("\(option) is missing") }
        return value
    }

    static func absolute(_ option: String, _ value: String) throws(JailUsageError) -> String {
        guard value.utf8.first == UInt8(ascii: "/") else {
            throw JailUsageError("\(option) \(value): an absolute path is wanted")
        }
        return value
    }

    static func number<Number: FixedWidthInteger>(
        _ option: String, _ value: String, _ range: ClosedRange<Number>
    ) throws(JailUsageError) -> Number {
        guard let number = Number(value), range.contains(number) else {
            throw JailUsageError(
                "\(option) \(value): a number from \(range.lowerBound) to \(range.upperBound) is wanted")
        }
        return number
    }
}

/// The options of one command line with their values.
///
/// Two arrays of one type rather than a dictionary: each command waits for this, and of the time that it takes the most
/// goes into making the runtime's description of each generic type that is used for the first time.
struct GivenOptions {
    private var names: [String] = []
    private var values: [String] = []

    /// Takes an option in; false if it is there already.
    mutating func add(_ name: String, _ value: String) -> Bool {
        if names.contains(name) { return false }
        names.append(name)
        values.append(value)
        return true
    }

    subscript(name: String) -> String? { names.firstIndex(of: name).map { values[$0] } }
}
