import Agent
import Events

/// A job of many steps as the loop would have written it: each step an answer of 2 KB with one call, phases and
/// compactions where `JobState.nextStep` wants them, with the settings as they are when nobody has set them.
struct LongJob {
    let ledger: Ledger
    private let message = String(repeating: "What I have seen is this. ", count: 79)

    /// - Throws: `StoreError`.
    func write(steps: Int, isCompacted: Bool) throws(StoreError) {
        var limits = Limits()
        limits.steps = steps + 1
        if !isCompacted { limits.window = 100_000_000 }
        try ledger.commit([
            .taskReceived(.init(text: "benchmark", source: "AGENT_TASK")), .phaseChanged(change(to: .strategic)),
        ])
        while ledger.state.spent.steps < steps {
            switch ledger.state.nextStep(limits: limits, mayTry: true) {
            case .ask: try answer()
            case .run(let open): try run(open.call)
            case .changePhase(let phase, _): try ledger.commit(.phaseChanged(change(to: phase)))
            case .compact(let shorter): try ledger.commit(.compacted(shorter))
            case .note(let note): try ledger.commit(.noted(note))
            case let other: fatalError("a long job does not come to \(other)")
            }
        }
        // Between two steps, where the model is to be asked.
        while case .run(let open) = ledger.state.nextStep(limits: limits, mayTry: true) { try run(open.call) }
    }

    private func change(to phase: Phase) -> Event.PhaseChanged {
        .init(
            from: ledger.state.phase, to: phase, number: ledger.state.phaseNumber + 1, reason: "benchmark",
            brief: "Go on.")
    }

    private func answer() throws(StoreError) {
        let turn = ledger.state.spent.steps + 1
        let input: JSON = ["command": "make test", "timeout_seconds": 60]
        try ledger.commit(.llmIntent(.init(turn: turn, attempt: 1, hold: 1000)))
        try ledger.commit(
            .llmDone(
                .init(
                    turn: turn, attempt: 1,
                    content: [.text(message), .toolCall(id: "call_\(turn)", name: "execute", input: input)],
                    calls: [
                        .init(
                            id: "\(turn).0", providerID: "call_\(turn)", tool: "execute", input: input,
                            isIdempotent: false)
                    ],
                    stop: .toolUse, duration: 1)))
    }

    private func run(_ call: Event.Call) throws(StoreError) {
        try ledger.commit(.callStarted(.init(call: call.id, attempt: 1)))
        let effect = ledger.state.phase == .strategic ? Effect.tacticalRequested : .artifactChanged(path: "a")
        try ledger.commit(
            .callFinished(
                .init(
                    call: call.id, outcome: .done, content: "exit 0\n", effects: [effect], facts: [:], duration: 1)))
    }
}
