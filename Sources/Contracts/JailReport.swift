/// What the janitor reports of a command on the report descriptor: a line for each thing that was refused, and then one
/// for all the rest.
package struct JailReport: Equatable, Sendable {
    /// How the command ended.
    package enum End: Equatable, Sendable {
        case exited(Int32)
        case signaled(Int32)
        /// The time limit was reached and the command was ended.
        case timedOut
        /// The control descriptor asked for the end.
        case cancelled
        /// The janitor ended the command before it used up what it shares with the pod; why, in words with figures.
        case exhausted(Resource, message: String)
        /// It did not start: nothing of it has run, and the same may be asked for again.
        case notStarted(JailStage, errno: Int32, message: String)
        /// It was started, or may have been, and how it ended is not known; processes of it may be there still. Who
        /// repeats it may do twice what it did.
        case lost(errno: Int32, message: String)
    }

    /// What a command is ended for using too much of.
    package enum Resource: String, Sendable, CaseIterable {
        case memory, disk
    }

    package var end: End
    /// Processes of the command's tree that were still there at its end and had to be killed. At least so many: one
    /// whose own parent took its end in, while being killed itself, is not seen.
    package var killed: Int
    /// Milliseconds: wall clock, user and system time of the whole tree.
    package var wall: Int64
    package var user: Int64
    package var system: Int64
    /// The largest resident set of any process of the tree, in KiB.
    package var maximumResident: Int64
    /// What the jail refused, as far as the janitor decides about it: sockets and connections.
    package var violations = JailViolations()

    package init(
        end: End, killed: Int = 0, wall: Int64 = 0, user: Int64 = 0, system: Int64 = 0, maximumResident: Int64 = 0
    ) {
        self.end = end
        self.killed = killed
        self.wall = wall
        self.user = user
        self.system = system
        self.maximumResident = maximumResident
    }

    /// All lines, without their newlines.
    package var lines: [String] { violations.lines + [line] }

    /// Parses all that came on the report descriptor; nil if no line names an end.
    package init?(text: String) {
        var violations = JailViolations()
        var report: JailReport?
        // By scalars: a newline and a mark that joins it are one Character.
        for line in text.unicodeScalars.split(separator: "\n") {
            let line = Substring(line)
            if !violations.take(line: line) { report = report ?? JailReport(line: line) }
        }
        guard var report else { return nil }
        report.violations = violations
        self = report
    }

    /// The last line, without its newline.
    package var line: String {
        var fields = Fields()
        switch end {
        case .exited(let code): fields.append("exited", String(code))
        case .signaled(let signal): fields.append("signaled", String(signal))
        case .timedOut: fields.append("timeout")
        case .cancelled: fields.append("cancelled")
        case .exhausted(let resource, let message):
            fields.append("exhausted", resource.rawValue)
            fields.append("message", message)
        case .notStarted(let stage, let errno, let message):
            fields.append("not_started", stage.rawValue)
            fields.append("errno", String(errno))
            fields.append("message", message)
        case .lost(let errno, let message):
            fields.append("lost")
            fields.append("errno", String(errno))
            fields.append("message", message)
        }
        fields.append("killed", String(killed))
        fields.append("wall_ms", String(wall))
        fields.append("user_ms", String(user))
        fields.append("sys_ms", String(system))
        fields.append("maxrss_kb", String(maximumResident))
        return fields.line
    }

    /// Parses the last line; nil if it names no end.
    package init?(line: some StringProtocol) {
        let fields = Fields(line: line)
        let code = fields["errno"].flatMap { Int32($0) } ?? 0
        let message = fields["message"] ?? ""
        if let code = fields["exited"].flatMap({ Int32($0) }) {
            end = .exited(code)
        } else if let signal = fields["signaled"].flatMap({ Int32($0) }) {
            end = .signaled(signal)
        } else if fields.has("timeout") {
            end = .timedOut
        } else if fields.has("cancelled") {
            end = .cancelled
        } else if let resource = fields["exhausted"].flatMap({ Resource(rawValue: $0) }) {
            end = .exhausted(resource, message: message)
        } else if let stage = fields["not_started"].flatMap({ JailStage(rawValue: $0) }) {
            end = .notStarted(stage, errno: code, message: message)
        } else if fields.has("lost") {
            end = .lost(errno: code, message: message)
        } else {
            return nil
        }
        func number(_ key: String) -> Int64 { fields[key].flatMap { Int64($0) } ?? 0 }
        killed = Int(number("killed"))
        wall = number("wall_ms")
        user = number("user_ms")
        system = number("sys_ms")
        maximumResident = number("maxrss_kb")
    }
}
