import Events

/// What must hold of a journal whatever was killed when (docs/CHECKPOINT_FORMAT.md, "Invariants").
///
/// A pure function of the events, beside the fold and without using it: an audit by the rules of the fold would find
/// nothing that the fold gets wrong.
package struct Audit {
    /// In words, each with the event's number.
    package private(set) var violations: [String] = []
    private var calls: [String: (call: Event.Call, turn: Int, starts: Int, results: Int)] = [:]
    private var openTurn = 0
    private var intent: Event.LLMIntent?
    private var phase = Phase.strategic
    private var phaseChanges = 0
    private var commands: Set<String> = []
    /// Commands in the background that run, as far as the journal says.
    private var background: Set<String> = []
    private var isFinished = false
    private var hasTask = false
    private var compactedAnswers = 0

    package init(_ events: [StoredEvent]) {
        var last: StoredEvent?
        for event in events {
            order(event, after: last)
            content(event)
            last = event
        }
    }

    private mutating func violated(_ seq: Int64, _ what: String) { violations.append("event \(seq): \(what)") }

    private mutating func order(_ stored: StoredEvent, after last: StoredEvent?) {
        if stored.seq != (last?.seq ?? 0) + 1 { violated(stored.seq, "does not follow event \(last?.seq ?? 0)") }
        let isAcquisition = if case .acquired = stored.event { true } else { false }
        let isNew = stored.epoch != last?.epoch
        if isNew, stored.epoch <= last?.epoch ?? 0 {
            violated(stored.seq, "its epoch \(stored.epoch) is not a later one")
        }
        if isNew != isAcquisition { violated(stored.seq, "an epoch begins with its acquisition, and only with it") }
        if case .acquired(let body) = stored.event, body.resumed != (last != nil) {
            violated(stored.seq, "it says that it \(body.resumed ? "resumes" : "begins") the job")
        }
    }

    private mutating func content(_ stored: StoredEvent) {
        let seq = stored.seq
        switch stored.event {
        case .acquired: intent = nil
        case .taskReceived:
            if hasTask { violated(seq, "a second task begins") }
            hasTask = true
        case .commandReceived(let body):
            if !commands.insert(body.id).inserted { violated(seq, "command \(body.id) is there twice") }
            if body.kind == .task { hasTask = true }
            if body.kind == .cancel { isFinished = true }
        case .llmIntent(let body):
            refuseAfterEnd(seq)
            for (id, call) in calls.sorted(by: { $0.key < $1.key }) where call.results == 0 {
                violated(seq, "the model is asked while call \(id) has no result")
            }
            intent = body
        case .llmDone(let body): answered(body, seq)
        case .llmFailed(let body):
            if body.turn != intent?.turn || body.attempt != intent?.attempt { violated(seq, "nobody asked for this") }
            intent = nil
        case .callStarted(let body): started(body, seq)
        case .callFinished(let body): finished(body, seq)
        case .phaseChanged(let body): changed(body, seq)
        case .noted, .restored: break
        case .compacted(let body):
            if intent != nil { violated(seq, "the conversation is compacted while the model is asked") }
            if calls.contains(where: { $0.value.results == 0 }) { violated(seq, "it is compacted within a turn") }
            if body.answers <= compactedAnswers || body.answers >= openTurn || body.dropped < 1 {
                violated(seq, "compacted to \(body.answers) of \(openTurn) answers, after \(compactedAnswers)")
            }
            compactedAnswers = body.answers
        case .verified(let body):
            if phase != .verify { violated(seq, "a verification in phase \(phase.rawValue)") }
            if body.passed { isFinished = true }
        case .statusChanged(let body):
            if case .finished(.completed, _) = body.status {
                violated(seq, "completed without a verification that passed")
            }
            if case .finished = body.status { isFinished = true } else { refuseAfterEnd(seq) }
        case .backgroundEnded(let body):
            if background.remove(body.call) == nil {
                violated(seq, "background command \(body.call) was not running")
            }
        }
    }

    private mutating func refuseAfterEnd(_ seq: Int64) {
        if isFinished { violated(seq, "the job had ended before") }
    }

    private mutating func answered(_ body: Event.LLMDone, _ seq: Int64) {
        if body.turn != intent?.turn || body.attempt != intent?.attempt {
            violated(seq, "an answer that nobody asked for")
        }
        if body.turn != openTurn + 1 { violated(seq, "answer \(body.turn) after answer \(openTurn)") }
        openTurn = body.turn
        intent = nil
        for call in body.calls where calls.updateValue((call, body.turn, 0, 0), forKey: call.id) != nil {
            violated(seq, "call \(call.id) is there twice")
        }
    }

    private mutating func started(_ body: Event.CallStarted, _ seq: Int64) {
        guard let known = calls[body.call] else { return violated(seq, "call \(body.call) was never asked for") }
        refuseAfterEnd(seq)
        calls[body.call]?.starts += 1
        if known.results > 0 { violated(seq, "call \(body.call) runs again after its result") }
        if known.starts > 0, !known.call.isIdempotent {
            violated(seq, "call \(body.call), which is not idempotent, runs twice")
        }
    }

    private mutating func finished(_ body: Event.CallFinished, _ seq: Int64) {
        guard let known = calls[body.call] else {
            return violated(seq, "a result of call \(body.call), which is unknown")
        }
        calls[body.call]?.results += 1
        for case .backgroundStarted(let id, _) in body.effects { background.insert(id) }
        if known.results > 0 { violated(seq, "call \(body.call) has a second result") }
        if known.starts == 0, body.outcome != .refused, body.outcome != .interrupted {
            violated(seq, "call \(body.call) has a result and was never started")
        }
    }

    private mutating func changed(_ body: Event.PhaseChanged, _ seq: Int64) {
        if !background.isEmpty { violated(seq, "a phase ends while \(background.sorted().first ?? "") runs on") }
        if body.from != phase { violated(seq, "a way out of \(body.from.rawValue) while in \(phase.rawValue)") }
        let isLegal =
            switch (body.from, body.to) {
            case (.strategic, .strategic): phaseChanges == 0
            case (.strategic, .tactical), (.strategic, .verify), (.tactical, .strategic), (.verify, .strategic): true
            default: false
            }
        if !isLegal { violated(seq, "no way leads from \(body.from.rawValue) to \(body.to.rawValue)") }
        (phase, phaseChanges) = (body.to, phaseChanges + 1)
    }
}
