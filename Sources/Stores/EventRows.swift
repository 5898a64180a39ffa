import Agent
import Events
import SQLite

/// Reads events in order; `limit` -1 is all. Of a database of any version up to ours.
func readEvents(
    _ database: Database, after seq: Int64, limit: Int, path: String
) throws(StoreError) -> [StoredEvent] {
    var events: [StoredEvent] = []
    do {
        // A reader may come before the owner has migrated the database.
        let version = try database.integer("SELECT schema_version FROM meta") ?? 0
        let columns = version < 2 ? "NULL FROM event" : "data FROM event LEFT JOIN blob ON blob.sha256 = event.blob"
        let statement = try database.statement(
            "SELECT seq, epoch, ts, kind, body, \(columns) WHERE seq > ? ORDER BY seq LIMIT ?")
        try statement.bind([seq, limit])
        defer { statement.reset() }
        while try statement.step() {
            let event = try Event(kind: statement.text(3) ?? "", body: statement.text(4) ?? "")
            events.append(
                StoredEvent(
                    seq: statement.integer(0), epoch: statement.integer(1), time: statement.integer(2),
                    event: LargeOutput.given(back: statement.text(5), to: event)))
        }
    } catch let error as SQLiteError {
        throw SQLiteCheckpointStore.failure(error, path)
    } catch {
        throw StoreError(.unusable, "the journal in \(path) has an event that cannot be read: \(error)")
    }
    return events
}
