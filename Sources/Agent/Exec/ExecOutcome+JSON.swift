import Contracts
package import Events
import FoundationEssentials

extension ExecOutcome {
    /// The whole result as one object; README, "As a sandbox for other agents", describes it.
    package func json(of plan: ExecPlan) -> JSON {
        var members: [String: JSON] = [
            "command": .array(plan.command.map { .string($0) }), "profile": .string(plan.profile.rawValue),
            "exit_code": .int(Int64(exitCode)), "killed": .int(Int64(report.killed)), "wall_ms": .int(report.wall),
            "user_ms": .int(report.user), "system_ms": .int(report.system),
            "max_rss_kb": .int(report.maximumResident), "stdout": output.json, "stderr": errors.json,
            "violations": .array(report.violations.all.map(\.json)), "refused": .array(refused.map { .string($0) }),
        ]
        switch report.end {
        case .exited: members["end"] = "exited"
        case .signaled(let number):
            members["end"] = "signaled"
            members["signal"] = .int(Int64(number))
        case .timedOut: members["end"] = "timeout"
        case .cancelled:
            members["end"] = "cancelled"
            if let signal { members["signal"] = .int(Int64(signal)) }
        case .exhausted(let resource, let message):
            members["end"] = "exhausted"
            members["resource"] = .string(resource.rawValue)
            members["message"] = .string(message)
        case .notStarted(let stage, let code, let message):
            members["end"] = "not_started"
            members["stage"] = .string(stage.rawValue)
            members["errno"] = .int(Int64(code))
            members["message"] = .string(message)
        case .lost(let code, let message):
            members["end"] = "lost"
            members["errno"] = .int(Int64(code))
            members["message"] = .string(message)
        }
        return .object(members)
    }
}

extension OutputCapture.Parts {
    /// Text if both ends are UTF-8, cut at whole characters; else base64 of the bytes.
    package var json: JSON {
        let counts: [String: JSON] = ["bytes": .int(Int64(bytes)), "lines": .int(Int64(lines))]
        let whole = omitted == 0 ? head.count : Self.wholeCharacters(head)
        let start = tail.prefix(4).firstIndex { $0 & 0xc0 != 0x80 } ?? 0
        if let first = String(validating: head[..<whole], as: UTF8.self),
            let last = String(validating: tail[start...], as: UTF8.self)
        {
            return .object(
                counts.merging([
                    "encoding": "utf-8", "head": .string(first), "tail": .string(last),
                    "omitted_bytes": .int(Int64(omitted + head.count - whole + start)),
                ]) { _, new in new })
        }
        return .object(
            counts.merging([
                "encoding": "base64", "head": .string(Data(head).base64EncodedString()),
                "tail": .string(Data(tail).base64EncodedString()), "omitted_bytes": .int(Int64(omitted)),
            ]) { _, new in new })
    }

    /// How many of the bytes are left without a character that is cut off at their end.
    private static func wholeCharacters(_ bytes: [UInt8]) -> Int {
        // Of at most four bytes: back to the last one that begins a character, and see whether it has all of its own.
        for back in 1...4 where back <= bytes.count {
            let byte = bytes[bytes.count - back]
            guard byte & 0xc0 != 0x80 else { continue }
            let length = byte < 0x80 ? 1 : byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2
            return length > back ? bytes.count - back : bytes.count
        }
        return bytes.count
    }
}
