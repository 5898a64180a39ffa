package import Contracts
package import Events

/// One thing that `agent-init doctor` has looked at.
package struct Finding: Equatable, Sendable {
    package enum Verdict: String, Sendable, CaseIterable {
        /// It is as it should be: what rests on it is enforced.
        case good
        /// Neither good nor bad, or not needed here.
        case note
        /// Less than there could be; no promise rests on it.
        case weak
        /// A promise cannot be kept, or a job cannot run: something must be done.
        case bad
    }

    /// What it is about: kernel, pod, folders, programs, jail, job.
    package var group: String
    /// A word or two, unique in its group.
    package var name: String
    package var verdict: Verdict
    /// What was found.
    package var text: String
    /// What to do about it; where the verdict is bad, always there.
    package var remedy: String?
    /// What is therefore not enforced, if anything.
    package var open: String?
    /// The exit code that a bad one stands for, as a start of the job would end: `notPermitted` for the jail and for
    /// credentials, `configuration` for folders and settings, `tryAgain` for a server out of reach.
    package var exit = ExitCode.notPermitted

    package init(
        _ group: String, _ name: String, _ verdict: Verdict, _ text: String, remedy: String? = nil, open: String? = nil,
        exit: ExitCode = .notPermitted
    ) {
        self.group = group
        self.name = name
        self.verdict = verdict
        self.text = text
        self.remedy = remedy
        self.open = open
        self.exit = exit
    }

    /// A start that cannot be made: what is wrong, then what to do, as its one line has them.
    package init(_ group: String, _ name: String, _ error: StartError) {
        let mark = error.description.firstRange(of: "; ")
        self.init(
            group, name, .bad, String(error.description[..<(mark?.lowerBound ?? error.description.endIndex)]),
            remedy: mark.map { String(error.description[$0.upperBound...]) } ?? "mend that, and run doctor again",
            exit: error.exit)
    }

    /// Whether it is about what the jail enforces.
    var isOfJail: Bool { ["kernel", "pod", "jail"].contains(group) && exit == .notPermitted }
}

/// All that was found, for people and for machines.
package struct Diagnosis: Sendable {
    package var findings: [Finding] = []
    /// Whether what a job needs was looked at too.
    package var looksAtJob = false

    package init() {}

    /// 0 if nothing is bad; else 77 before 78 before 75: without the jail nothing else matters, and what is out of reach
    /// may come.
    package var exit: ExitCode {
        let bad = findings.filter { $0.verdict == .bad }.map(\.exit)
        return [.notPermitted, .configuration].first(where: bad.contains) ?? bad.first ?? .completed
    }

    /// What no version of this jail can enforce, beside what the findings say (docs/THREAT_MODEL.md).
    package static let alwaysOpen = [
        "chmod, chown, utime and stat of files outside, as far as their modes allow: Landlock has no hook for them",
        "the command lines of the pod's other processes, in /proc: nothing secret is ever in ours",
    ]

    private var open: [String] { findings.compactMap(\.open) + Self.alwaysOpen }

    package var json: JSON {
        .object([
            "exit_code": .int(Int64(exit.rawValue)),
            "enforceable": .bool(!findings.contains { $0.verdict == .bad && $0.isOfJail }),
            "looks_at_job": .bool(looksAtJob),
            "findings": .array(
                findings.map { finding in
                    var members: [String: JSON] = [
                        "group": .string(finding.group), "name": .string(finding.name),
                        "verdict": .string(finding.verdict.rawValue), "text": .string(finding.text),
                    ]
                    if let remedy = finding.remedy { members["remedy"] = .string(remedy) }
                    return .object(members)
                }),
            "not_enforced": .array(open.map { .string($0) }),
        ])
    }

    /// A table; with `isColoured` for a terminal that shows colours.
    package func table(isColoured: Bool) -> String {
        let width = findings.map(\.name.count).max() ?? 0
        var lines: [String] = []
        var group = ""
        for finding in findings {
            if finding.group != group {
                group = finding.group
                lines += lines.isEmpty ? [group.uppercased()] : ["", group.uppercased()]
            }
            let name = finding.name + String(repeating: " ", count: width - finding.name.count)
            lines.append("  \(mark(finding.verdict, isColoured))  \(name)  \(finding.text)")
            if let remedy = finding.remedy, finding.verdict == .bad || finding.verdict == .weak {
                lines.append(String(repeating: " ", count: width + 9) + "-> " + remedy)
            }
        }
        lines += ["", "NOT ENFORCED"] + open.map { "  - \($0)" } + ["", verdict]
        return lines.joined(separator: "\n") + "\n"
    }

    private var verdict: String {
        let bad = findings.filter { $0.verdict == .bad }
        if bad.isEmpty {
            return looksAtJob
                ? "The configured jail is enforced here; nothing stands in the way of this job."
                : "The configured jail is enforced here. No job was looked at: with JOB_ID and the job's other settings, doctor "
                    + "tries its key, LLM, NATS, store and port too."
        }
        let names = bad.map { "\($0.group): \($0.name)" }.joined(separator: ", ")
        return bad.contains(where: \.isOfJail)
            ? "The configured jail is NOT enforced here (exit 77): \(names)."
            : "The jail is enforced, but a job cannot run (exit \(exit.rawValue)): \(names)."
    }

    private func mark(_ verdict: Finding.Verdict, _ isColoured: Bool) -> String {
        let (word, colour) =
            switch verdict {
            case .good: ("ok  ", "32")
            case .note: ("    ", "0")
            case .weak: ("weak", "33")
            case .bad: ("BAD ", "1;31")
            }
        return isColoured ? "\u{1b}[\(colour)m\(word)\u{1b}[0m" : word
    }
}
