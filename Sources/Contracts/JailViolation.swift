/// Something that the jail refused to a command, as the janitor reports it: one line each, before the report itself.
package struct JailViolation: Equatable, Sendable {
    /// What was refused. The raw value is what the line calls it.
    package enum Kind: String, Sendable, CaseIterable {
        /// Connecting by TCP or UDP; to a Unix socket.
        case connect
        case unixConnect = "connect-unix"
        /// Binding a TCP or UDP socket, and listening on one that has no address.
        case bind, listen
        /// Asking a name server by UDP.
        case udp
        /// Making a kind of socket that is closed.
        case socket
        /// The caller cannot be examined: its program's file can be executed and not read.
        case unseen
    }

    package var kind: Kind
    /// An address with port, a path or a name; empty where there is none. At most 200 bytes.
    package var target: String
    /// The caller's pid, as the container sees it, and the name that it gives itself (comm, at most 15 bytes): text of
    /// the command's own choice. Those of the first time.
    package var pid: Int32
    package var program: String
    /// How often.
    package var count: Int

    package init(_ kind: Kind, target: String, pid: Int32, program: String, count: Int = 1) {
        self.kind = kind
        self.target = target
        self.pid = pid
        self.program = program
        self.count = count
    }

    /// The line, without its newline.
    package var line: String {
        var fields = Fields()
        fields.append("refused", kind.rawValue)
        fields.append("target", target)
        fields.append("pid", String(pid))
        fields.append("program", program)
        fields.append("count", String(count))
        return fields.line
    }

    /// Parses a line; nil if it is none of these.
    package init?(line: some StringProtocol) {
        let fields = Fields(line: line)
        guard let kind = fields["refused"].flatMap(Kind.init(rawValue:)) else { return nil }
        self.init(
            kind, target: fields["target"] ?? "", pid: fields["pid"].flatMap { Int32($0) } ?? 0,
            program: fields["program"] ?? "", count: fields["count"].flatMap { Int($0) } ?? 1)
    }
}

/// The refusals of one command, in bounded memory.
package struct JailViolations: Equatable, Sendable {
    /// Different ones that are kept.
    package static let limit = 32

    package private(set) var all: [JailViolation] = []
    /// Refusals that came when that many different ones were kept already.
    package var unlisted = 0

    package init() {}

    package mutating func add(
        _ kind: JailViolation.Kind, target: String, pid: Int32, program: @autoclosure () -> String
    ) {
        if let index = all.firstIndex(where: { $0.kind == kind && $0.target == target }) {
            all[index].count += 1
        } else if all.count < Self.limit {
            all.append(JailViolation(kind, target: target, pid: pid, program: program()))
        } else {
            unlisted += 1
        }
    }

    /// Lines without newlines.
    package var lines: [String] { all.map(\.line) + (unlisted > 0 ? ["refusals_unlisted=\(unlisted)"] : []) }

    /// Takes a line of a report; false if it is none of these.
    package mutating func take(line: some StringProtocol) -> Bool {
        if let violation = JailViolation(line: line) {
            if all.count < Self.limit { all.append(violation) } else { unlisted += violation.count }
            return true
        }
        guard let count = Fields(line: line)["refusals_unlisted"].flatMap({ Int($0) }) else { return false }
        unlisted += count
        return true
    }
}
