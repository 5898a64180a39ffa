import Events
import Sinks
import Testing

struct TerminalTests {
    private func shown(
        _ body: String, _ attributes: [String: JSON] = [:], severity: LogRecord.Severity = .info, colour: Bool = false
    ) -> String {
        let record = LogRecord(time: 0, severity: severity, stream: .journal, body: body, attributes: attributes)
        return TerminalText(style: TerminalStyle(hasColour: colour)).text(of: record.json(job: "j", seq: 1).text)
    }

    @Test func `a phase is a heading`() {
        let text = shown(
            "phase 2, TACTICAL: all staged",
            [
                "event.name": "phase_changed", "agent.phase": "TACTICAL", "agent.phase_number": 2,
                "phase.reason": "all staged",
            ])
        #expect(text == "\n━━ Phase 2 · TACTICAL ━━  all staged\n")
    }

    @Test func `a command stands behind a dollar, its result below it`() {
        #expect(shown("$ make test", ["event.name": "call_started"]) == "  $ make test\n")
        let text = shown(
            "exit code 2\nmake: *** no rule\n",
            [
                "event.name": "call_finished", "gen_ai.tool.name": "execute", "outcome": "failed",
                "headline": "$ make test", "duration_ms": 1240,
            ])
        #expect(text == "  │ make: *** no rule\n  ✘ exit code 2 (1.2 s)\n")
    }

    @Test func `a long result is shown by its head and its tail`() throws {
        let output = (1...100).map { "line \($0)" }.joined(separator: "\n")
        let text = shown(
            "exit code 0\n" + output,
            ["event.name": "call_finished", "gen_ai.tool.name": "execute", "outcome": "done"])
        let lines = text.split(separator: "\n")
        try #require(lines.count == 6 + 1 + 8 + 1)
        #expect(lines.first == "  │ line 1")
        #expect(lines[6] == "  │ … 86 lines …")
        #expect(lines[14] == "  │ line 100")
    }

    @Test func `todos are shown with their state and evidence`() {
        let todos: JSON = [
            ["id": "t1", "title": "Fix it", "status": "done", "evidence": "tests pass"],
            ["id": "t2", "title": "Write it down", "status": "pending", "evidence": nil],
        ]
        let text = shown("ok", ["event.name": "call_finished", "outcome": "done", "todos": todos])
        #expect(text == "  ☑ t1 Fix it\n      tests pass\n  ☐ t2 Write it down\n")
    }

    @Test func `what the process ends of is left to the last line, which PID 1 says`() {
        #expect(shown("agent-init: failed (exit 1): so", ["event.name": "process_end"], severity: .warn) == "")
        let failed: [String: JSON] = ["event.name": "llm_failed", "error.type": "authentication"]
        #expect(shown("the model did not answer: no", failed, severity: .warn) == "")
        let again = failed.merging(["agent.retry_at": "2026-01-01T00:00:00.000Z"]) { $1 }
        #expect(shown("the model did not answer: no", again, severity: .warn) == "⚠ the model did not answer: no\n")
        for kind in ["overflow", "interrupted"] {
            let other = failed.merging(["error.type": .string(kind)]) { $1 }
            #expect(shown("the model did not answer: no", other, severity: .warn) == "⚠ the model did not answer: no\n")
        }
    }

    @Test func `what cannot be rendered is shown as it is, never lost`() {
        #expect(TerminalText(style: TerminalStyle(hasColour: false)).text(of: "{broken") == "{broken\n")
        #expect(shown("anything", ["event.name": "of a newer version"]) == "· anything\n")
        #expect(shown("bad", severity: .error) == "⚠ bad\n")
    }

    @Test func `a command's output cannot steer the reader's terminal`() {
        let text = shown("\u{1b}[2J\u{1b}]0;title\u{7}\rhidden\u{9b}31m\u{202e}")
        #expect(!text.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" || (0x7f..<0xa0).contains($0.value) })
        #expect(!text.unicodeScalars.contains("\u{202e}"))
    }

    @Test func `colours are only for a terminal that wants them`() {
        #expect(shown("bad", severity: .warn, colour: true).contains("\u{1b}[33m"))
        #expect(!TerminalStyle(descriptor: -1, environment: ["TERM": "xterm"]).hasColour)
    }
}
