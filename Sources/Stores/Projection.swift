import Agent
import Events
import SQLite

/// Writes an event and what follows from it for the other tables, within a transaction of the store.
struct Projection {
    let database: Database
    private let digests = EventDigest()

    init(database: Database) { self.database = database }

    func write(_ stored: StoredEvent) throws(SQLiteError) {
        let (event, blob) = LargeOutput.taken(from: stored.event)
        if let blob { try LargeOutput.keep(blob, in: database) }
        let (kind, body) = (event.kind, try Self.body(event))
        let digest = digests.of(
            numbers: (stored.seq, stored.epoch, stored.time), kind: kind, version: Schema.version,
            blob: blob?.digest ?? "", body: body)
        try database.run(
            "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?)", stored.seq, stored.epoch, stored.time, kind,
            Schema.version, body, blob.map(\.digest), digest)
        switch stored.event {
        case .acquired: try loseIntents()
        case .llmIntent(let intent):
            try loseIntents()
            try database.run(
                "INSERT INTO llm (seq, turn, attempt, hold, state) VALUES (?, ?, ?, ?, 'intent')", stored.seq,
                intent.turn, intent.attempt, intent.hold)
        case .llmDone(let done): try settle(done)
        case .llmFailed: try database.run("UPDATE llm SET state = 'failed' WHERE state = 'intent'")
        case .callStarted(let started):
            try database.run(
                "UPDATE call SET state = 'started', attempt = ? WHERE call_id = ?", started.attempt, started.call)
        case .callFinished(let finished):
            try database.run(
                "UPDATE call SET state = ?, result_seq = ? WHERE call_id = ?", finished.outcome.rawValue, stored.seq,
                finished.call)
        case .restored, .taskReceived, .commandReceived, .phaseChanged, .noted, .compacted, .verified, .statusChanged,
            .backgroundEnded:
            break
        }
    }

    /// A request without an answer when the next one is made, or when its process is gone.
    private func loseIntents() throws(SQLiteError) {
        try database.run("UPDATE llm SET state = 'lost' WHERE state = 'intent'")
    }

    private func settle(_ done: Event.LLMDone) throws(SQLiteError) {
        try database.run(
            """
            UPDATE llm SET state = 'done', input_tokens = ?, output_tokens = ?, cost = ?, request_id = ?
            WHERE state = 'intent'
            """, done.usage?.input, done.usage?.output, done.cost, done.requestID)
        for (order, call) in done.calls.enumerated() {
            try database.run(
                "INSERT INTO call VALUES (?, ?, ?, ?, ?, ?, 'intent', 0, NULL)", call.id, done.turn, order, call.tool,
                call.input.text, call.isIdempotent)
        }
    }

    /// The column `spent` of `head`.
    static func spent(_ state: JobState) -> String { state.spent.json.text }

    func writeHead(_ state: JobState, todos: Bool) throws(SQLiteError) {
        try database.run(
            "UPDATE head SET seq = ?, status = ?, phase = ?, phase_no = ?, turn = ?, spent = ?", state.seq,
            state.status.word, state.phase.rawValue, state.phaseNumber, state.spent.steps, Self.spent(state))
        guard todos else { return }
        for (order, todo) in state.todos.enumerated() {
            try database.run(
                "INSERT OR REPLACE INTO todo VALUES (?, ?, ?, ?, ?, ?, ?, ?)", todo.id, order, todo.title,
                todo.acceptance, todo.check, todo.status.rawValue, todo.evidence, todo.attempts)
        }
    }

    private static func body(_ event: Event) throws(SQLiteError) -> String {
        do throws(EventCodingError) {
            return try event.encoded()
        } catch {
            throw SQLiteError(code: 1, message: error.description, sql: "")
        }
    }
}
