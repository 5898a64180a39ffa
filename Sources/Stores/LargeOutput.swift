import Agent
import SQLite

/// The output of a call that is too large for its event's row: kept once in the table `blob`, by its SHA-256.
///
/// A command that is run again and again with the same output costs its output once.
struct LargeOutput {
    let digest: String
    let text: String

    /// In bytes; what is larger goes to `blob`. A page of the database.
    private static let limit = 8192

    /// The event as its row has it, and what was taken out of it.
    static func taken(from event: Event) -> (event: Event, output: LargeOutput?) {
        guard case .callFinished(var body) = event, body.content.utf8.count > limit else { return (event, nil) }
        let output = LargeOutput(digest: sha256(body.content), text: body.content)
        body.content = ""
        return (.callFinished(body), output)
    }

    /// The whole event; `text` nil: its row has all.
    static func given(back text: String?, to event: Event) -> Event {
        guard let text, case .callFinished(var body) = event else { return event }
        body.content = text
        return .callFinished(body)
    }

    static func keep(_ output: LargeOutput, in database: Database) throws(SQLiteError) {
        try database.run("INSERT OR IGNORE INTO blob VALUES (?, ?)", output.digest, output.text)
    }
}
