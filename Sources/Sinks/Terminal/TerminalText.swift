import Events

/// One record as lines for a person; some records have none.
package struct TerminalText: Sendable {
    private let style: TerminalStyle
    /// Lines that are shown of a long result, from its head and its tail.
    private static let head = 6
    private static let tail = 8
    private static let width = 200

    package init(style: TerminalStyle) { self.style = style }

    /// The lines of a record in its wire form, each with its newline.
    package func text(of record: String) -> String {
        guard let json = try? JSON(parsing: record), let body = json["body"]?.string else { return record + "\n" }
        let record = Record(body: body, attributes: json["attributes"] ?? [:], json: json)
        let lines = lines(of: record)
        return lines.isEmpty ? "" : lines.joined(separator: "\n") + "\n"
    }

    private struct Record {
        let body: String
        let attributes: JSON
        let json: JSON
        func text(_ name: String) -> String? { attributes[name]?.string }
        func number(_ name: String) -> Int? { attributes[name]?.int }
    }

    private func lines(of record: Record) -> [String] {
        switch record.text("event.name") {
        case "acquired":
            guard record.attributes["resumed"]?.bool == true else { return [style.paint("▶ \(record.body)", .bold)] }
            return ["", style.paint("↻ \(record.body)", .yellow), ""]
        case "task_received": return block(record.body, mark: "☰ ", colour: .bold)
        case "command_received": return block(record.body, mark: "✉ ", colour: .bold)
        case "llm_intent": return []
        case "process_end": return []
        case "llm_done": return answer(record)
        case "llm_failed":
            // Without another try the process ends of it, and PID 1 says so, after everything else.
            let goesOn = record.text("agent.retry_at") != nil
            let isAnswered = ["overflow", "interrupted"].contains(record.text("error.type"))
            return goesOn || isAnswered ? block(record.body, mark: "⚠ ", colour: .yellow) : []
        case "call_started": return record.body.hasPrefix("$ ") ? block(record.body, mark: "  ", colour: .bold) : []
        case "call_finished": return result(record)
        case "phase_changed":
            return [
                "",
                style.paint(
                    "━━ Phase \(record.number("agent.phase_number") ?? 0) · \(record.text("agent.phase") ?? "") ━━",
                    .heading) + "  " + oneLine(record.text("phase.reason") ?? ""),
            ]
        case "noted": return block(record.body, mark: "  ※ ", colour: .dim)
        case "verified":
            let passed = record.attributes["passed"]?.bool == true
            let report = record.attributes["report"]?.array?.compactMap(\.string) ?? []
            return [style.paint(passed ? "✔ \(record.body)" : "✘ \(record.body)", passed ? .green : .red)]
                + report.flatMap { block($0, mark: "    ", colour: .dim) }
        case "status_changed":
            let isGood = record.text("status") == "completed"
            return block(record.body, mark: isGood ? "✔ " : "■ ", colour: isGood ? .green : .yellow)
        default:
            let isBad = (record.json["severity_number"]?.int ?? 0) >= LogRecord.Severity.warn.rawValue
            return block(record.body, mark: isBad ? "⚠ " : "· ", colour: isBad ? .yellow : .dim)
        }
    }

    private func answer(_ record: Record) -> [String] {
        var lines = record.text("thinking").map { block($0, mark: "  ┊ ", colour: .dim) } ?? []
        if record.attributes["has_text"]?.bool != false { lines += block(record.body, mark: "  ", colour: nil) }
        return lines
    }

    private func result(_ record: Record) -> [String] {
        let outcome = record.text("outcome") ?? ""
        let seconds = Double(record.number("duration_ms") ?? 0) / 1000
        let time = seconds >= 0.1 ? " (\((seconds * 10).rounded() / 10) s)" : ""
        let isCommand = record.text("gen_ai.tool.name") == "execute"
        let headline = oneLine(record.text("headline") ?? "")
        if let todos = record.attributes["todos"]?.array { return todos.flatMap(todo) }
        switch outcome {
        case "interrupted":
            return [style.paint("  ⚡ interrupted: \(headline)", .yellow)] + excerpt(record.body)
        case "refused":
            return [style.paint("  ✘ refused: \(headline)", .yellow)] + excerpt(record.body)
        case _ where isCommand:
            // The first line of a command's result is its exit; the output comes before it on a terminal.
            let (first, output) = split(record.body)
            let end = style.paint(
                "  \(outcome == "done" ? "✔" : "✘") \(first)\(time)", outcome == "done" ? .green : .red)
            return excerpt(output) + [end]
        case "failed": return [style.paint("  ✘ \(headline)\(time)", .red)] + excerpt(record.body)
        default:
            let lines = [style.paint("  ✔ \(headline)\(time)", .green)]
            guard let plan = record.text("plan") else { return lines }
            return lines + block(plan, mark: "    ", colour: .dim)
        }
    }

    private func todo(_ todo: JSON) -> [String] {
        let (mark, colour): (String, TerminalStyle.Colour) =
            switch todo["status"]?.string {
            case "done": ("☑", .green)
            case "in_progress": ("▸", .cyan)
            case "blocked": ("⚠", .yellow)
            case "dropped": ("☒", .dim)
            default: ("☐", .bold)
            }
        let title = oneLine("\(todo["id"]?.string ?? "") \(todo["title"]?.string ?? "")")
        let evidence = todo["evidence"]?.string.map { block($0, mark: "      ", colour: .dim) } ?? []
        return [style.paint("  \(mark) \(title)", colour)] + evidence
    }

    // MARK: Shapes

    /// The lines of a text, the first behind a mark and the others in line with it.
    private func block(_ text: String, mark: String, colour: TerminalStyle.Colour?) -> [String] {
        let indent = String(repeating: " ", count: mark.count)
        return trimmedLines(text).enumerated().map { index, line in
            let line = (index == 0 ? mark : indent) + line
            return colour.map { style.paint(line, $0) } ?? line
        }
    }

    /// A result, indented, with its head and its tail.
    private func excerpt(_ text: String) -> [String] {
        let lines = trimmedLines(text)
        guard !lines.isEmpty else { return [] }
        var shown = lines
        if lines.count > Self.head + Self.tail + 1 {
            let left = lines.count - Self.head - Self.tail
            shown = lines.prefix(Self.head) + ["… \(left) lines …"] + lines.suffix(Self.tail)
        }
        return shown.map { style.paint("  │ ", .dim) + $0 }
    }

    private func trimmedLines(_ text: String) -> [String] {
        var lines = TerminalStyle.harmless(text).split(separator: "\n", omittingEmptySubsequences: false)
        while lines.last?.allSatisfy(\.isWhitespace) == true { lines.removeLast() }
        return lines.map { $0.count > Self.width ? $0.prefix(Self.width) + "…" : String($0) }
    }

    private func oneLine(_ text: String) -> String { trimmedLines(text).first ?? "" }

    private func split(_ text: String) -> (String, String) {
        guard let end = text.firstIndex(of: "\n") else { return (text, "") }
        return (String(text[..<end]), String(text[text.index(after: end)...]))
    }
}
