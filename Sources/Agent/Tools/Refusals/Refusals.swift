package import Contracts
import Events

extension JailedCommands {
    /// At most so many sentences; each at most 400 bytes.
    static let refusalLimit = 8

    /// What the jail refused to a command, in words that a model can act on: the janitor's violations, and the paths
    /// that the command's output complains about.
    package func refusals(_ report: JailReport, output: String, profile: JailProfile) -> [String] {
        let network = NetworkRefusals(network: network)
        // Programs look up names by themselves, and do without. It is worth a word only to a command that says itself that it
        // could not look up a name.
        let lookedUp = NetworkRefusals.complainsAboutNames(output)
        var result = report.violations.all.filter { $0.kind != .udp || lookedUp }.map(network.sentence)
        if report.violations.unlisted > 0 { result.append("\(report.violations.unlisted) more connections") }
        result += FileRefusals(folders: folders, profile: profile).sentences(of: output)
        guard result.count > Self.refusalLimit else { return result }
        let left = result.count - Self.refusalLimit + 1
        return result.prefix(Self.refusalLimit - 1) + ["\(left) more"]
    }
}

extension JailViolation {
    /// For the log.
    var json: JSON {
        [
            "rule": .string(kind == .unseen ? "processes" : "network"), "kind": .string(kind.rawValue),
            "target": .string(printable(target)), "program": .string(printable(program)), "pid": .int(Int64(pid)),
            "count": .int(Int64(count)),
        ]
    }
}

/// A text of a command's own choice for a line of ours: without controls, and not endless.
func printable(_ text: String) -> String {
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars.prefix(200) {
        switch scalar.properties.generalCategory {
        // What could begin a line, move a cursor, or turn the direction of the text round.
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
            result.append("?")
        default: result.append(scalar)
        }
    }
    return String(result)
}

/// Words for what the connect broker refused.
struct NetworkRefusals {
    let network: NetworkSettings

    func sentence(_ violation: JailViolation) -> String {
        let target = printable(violation.target)
        let program = printable(violation.program)
        let who =
            (program.isEmpty ? "" : " (\(program)")
            + (violation.count > 1 ? ", \(violation.count) times)" : program.isEmpty ? "" : ")")
        return what(violation.kind, target, who)
    }

    private func what(_ kind: JailViolation.Kind, _ target: String, _ who: String) -> String {
        switch kind {
        case .connect where isOwnLoopback(target):
            "connecting to \(target)\(who): nothing that this job has started listens there, and other servers of this "
                + "host cannot be reached; \(policy)"
        case .connect: "connecting to \(target)\(who) is not allowed: \(policy)"
        case .unixConnect:
            "connecting to the Unix socket \(target)\(who) is not allowed: only to those that the same command has made"
        case .bind, .listen:
            network.listening == .none
                ? "listening\(target.isEmpty ? "" : " on \(target)")\(who) is not allowed in this job"
                : "listening on \(target)\(who) is not allowed: use 127.0.0.1, ::1 or 0.0.0.0, which only this job's "
                    + "commands reach"
        case .udp: "looking up names at \(target)\(who) is not allowed: \(policy)"
        case .socket: "opening \(target)\(who) is not allowed"
        case .unseen:
            "a socket call\(who) of a program that can be executed and not read is not allowed: make its file readable"
        }
    }

    /// Whether the output has what resolvers say in the C locale (gai_strerror(3), curl, node, Go).
    static func complainsAboutNames(_ output: String) -> Bool {
        let words = ["resolve host", "name resolution", "name or service not known", "eai_again", "lookup "]
        let output = output.lowercased()
        return words.contains { contains(Array(output.utf8), Array($0.utf8)) }
    }

    private static func contains(_ text: [UInt8], _ word: [UInt8]) -> Bool {
        guard text.count >= word.count else { return false }
        return (0...(text.count - word.count)).contains { start in
            text[start] == word[0] && text[start..<(start + word.count)].elementsEqual(word)
        }
    }

    private func isOwnLoopback(_ target: String) -> Bool {
        network.listening != .none && (target.hasPrefix("127.") || target.hasPrefix("[::1]"))
    }

    /// What there is instead.
    private var policy: String {
        switch network.policy {
        case .none: "this job has no network"
        case .open: "the network of this job is open for TCP and UDP"
        case .only:
            "the network of this job is \(network.words)"
                + (network.usesProxy
                    ? "; use the proxy (HTTPS_PROXY and HTTP_PROXY are set), which looks up names too" : "")
        }
    }
}
