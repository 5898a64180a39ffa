package import Events

/// What a job did, step by step: each answer of the model with what it cost, and the calls that followed from it.
///
/// A pure function of the journal.
package struct History {
    /// One request to the model and what came of it.
    package struct Step {
        /// The answer's number, from 1.
        package var turn: Int
        package var attempt: Int
        package var phase: Phase
        package var phaseNumber: Int
        /// Its first and, so far, last event.
        package var seqs: ClosedRange<Int64>
        /// When it was asked, in milliseconds since 1970, and for how long, nil if it was not answered.
        package var time: Int64
        package var duration: Int64?
        package var usage: TokenUsage?
        package var cost: Double?
        /// The first text of the answer.
        package var text = ""
        /// `answered`, `lost`, `open`, or why it failed.
        package var outcome: String
        package var calls: [Call] = []
    }

    /// A call of a step.
    package struct Call {
        package var call: Event.Call
        /// `done`, `failed`, `interrupted`, `refused`, `running` or `waiting`.
        package var outcome = "waiting"
        package var attempt = 0
        package var time: Int64?
        package var duration: Int64?
    }

    package private(set) var steps: [Step] = []

    package init(folding events: [StoredEvent]) {
        var (phase, number) = (Phase.strategic, 1)
        for stored in events {
            switch stored.event {
            case .acquired: lose(at: stored)
            case .llmIntent(let intent):
                lose(at: stored)
                steps.append(
                    Step(
                        turn: intent.turn, attempt: intent.attempt, phase: phase, phaseNumber: number,
                        seqs: stored.seq...stored.seq, time: stored.time, outcome: "open"))
            case .llmDone(let done):
                amend(stored) { step in
                    step.duration = done.duration
                    (step.usage, step.cost) = (done.usage, done.cost)
                    step.outcome = "answered"
                    step.calls = done.calls.map { Call(call: $0) }
                    for case .text(let text) in done.content where step.text.isEmpty { step.text = text }
                }
            case .llmFailed(let failed):
                amend(stored) { $0.outcome = "failed: \(failed.kind.rawValue): \(failed.message)" }
            case .callStarted(let started):
                amend(stored) { step in
                    step.change(started.call) { call in
                        (call.outcome, call.attempt) = ("running", started.attempt)
                        call.time = stored.time
                    }
                }
            case .callFinished(let finished):
                amend(stored) { step in
                    step.change(finished.call) { call in
                        (call.outcome, call.duration) = (finished.outcome.rawValue, finished.duration)
                    }
                }
            case .phaseChanged(let change): (phase, number) = (change.to, change.number)
            case .restored, .taskReceived, .commandReceived, .noted, .compacted, .verified, .statusChanged,
                .backgroundEnded:
                break
            }
        }
    }

    /// A request without an answer when its process has gone or the next one is made.
    private mutating func lose(at stored: StoredEvent) {
        guard let last = steps.indices.last, steps[last].outcome == "open" else { return }
        steps[last].outcome = "lost"
    }

    private mutating func amend(_ stored: StoredEvent, _ change: (inout Step) -> Void) {
        guard let last = steps.indices.last else { return }
        change(&steps[last])
        steps[last].seqs = steps[last].seqs.lowerBound...stored.seq
    }
}

extension History.Step {
    fileprivate mutating func change(_ id: String, _ body: (inout History.Call) -> Void) {
        guard let index = calls.firstIndex(where: { $0.call.id == id }) else { return }
        body(&calls[index])
    }
}

extension History {
    /// One object a step.
    package var json: JSON {
        .array(
            steps.map { step in
                [
                    "turn": .int(Int64(step.turn)), "attempt": .int(Int64(step.attempt)),
                    "phase": .string(step.phase.rawValue), "phase_number": .int(Int64(step.phaseNumber)),
                    "first_seq": .int(step.seqs.lowerBound), "last_seq": .int(step.seqs.upperBound),
                    "time": .string(timestamp(step.time)), "duration_ms": step.duration.map { .int($0) } ?? .null,
                    "input_tokens": step.usage.map { .int(Int64($0.input)) } ?? .null,
                    "output_tokens": step.usage.map { .int(Int64($0.output)) } ?? .null,
                    "cost_usd": step.cost.map { .double($0) } ?? .null, "outcome": .string(step.outcome),
                    "text": .string(step.text), "calls": .array(step.calls.map(\.json)),
                ]
            })
    }

    /// Lines for a terminal: a step, and below it its calls.
    package var text: String {
        var lines: [String] = []
        for step in steps {
            let usage = step.usage.map { "\($0.input)+\($0.output) tokens" } ?? "no tokens told"
            let cost = step.cost.map { ", \($0) USD" } ?? ""
            let duration = step.duration.map { ", \(seconds($0))" } ?? ""
            lines.append(
                "\(step.turn)\(step.attempt > 1 ? " (try \(step.attempt))" : "")  \(timestamp(step.time))  "
                    + "\(step.phaseNumber) \(step.phase.rawValue)  seq \(step.seqs.lowerBound)-\(step.seqs.upperBound)  "
                    + "\(shownLine(step.outcome, limit: 200))\(duration), \(usage)\(cost)")
            if !step.text.isEmpty { lines.append("     \(shownLine(step.text))") }
            for call in step.calls {
                let duration = call.duration.map { ", \(seconds($0))" } ?? ""
                lines.append("     \(call.call.id)  \(call.outcome)\(duration)  \(shownLine(call.call.headline))")
            }
        }
        return lines.isEmpty ? "No step yet." : lines.joined(separator: "\n")
    }

    private func seconds(_ milliseconds: Int64) -> String {
        "\(milliseconds / 1000).\(milliseconds % 1000 / 100) s"
    }
}

extension History.Call {
    fileprivate var json: JSON {
        [
            "id": .string(call.id), "tool": .string(call.tool), "headline": .string(call.headline),
            "outcome": .string(outcome), "attempt": .int(Int64(attempt)),
            "time": time.map { .string(timestamp($0)) } ?? .null, "duration_ms": duration.map { .int($0) } ?? .null,
        ]
    }
}
