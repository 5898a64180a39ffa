import Agent
import Events
import SQLite

private struct EventDamage: Error, CustomStringConvertible {
    let description: String
}

/// Reads events in order; `limit` -1 is all. Of a database of any version up to ours.
func readEvents(
    _ database: Database, after seq: Int64, limit: Int, path: String
) throws(StoreError) -> [StoredEvent] {
    var events: [StoredEvent] = []
    do {
        // A reader may come before the owner has migrated the database.
        let version = try database.integer("SELECT schema_version FROM meta") ?? 0
        let columns =
            switch version {
            case ...1: "seq, epoch, ts, kind, schema_v, '', body, NULL, NULL FROM event"
            case 2: "\(EventDigest.columns), data, NULL FROM event LEFT JOIN blob ON blob.sha256 = event.blob"
            default: "\(EventDigest.columns), data, digest FROM event LEFT JOIN blob ON blob.sha256 = event.blob"
            }
        let row = try database.statement("SELECT \(columns) WHERE seq > ? ORDER BY seq LIMIT ?")
        try row.bind([seq, limit])
        defer { row.reset() }
        let digests = EventDigest()
        while try row.step() {
            if version >= 3, !digests.isRight(in: 8, of: row) {
                throw EventDamage(description: EventDigest.damage(of: row.integer(0)))
            }
            let output = row.text(7)
            if let digest = row.text(5), !digest.isEmpty, output.map(sha256) != digest {
                throw EventDamage(
                    description:
                        "the output of event \(row.integer(0)) is \(output == nil ? "gone" : "not what was written")")
            }
            let event = try Event(kind: row.text(3) ?? "", body: row.text(6) ?? "")
            events.append(
                StoredEvent(
                    seq: row.integer(0), epoch: row.integer(1), time: row.integer(2),
                    event: LargeOutput.given(back: output, to: event)))
        }
    } catch let error as SQLiteError {
        throw SQLiteCheckpointStore.failure(error, path)
    } catch {
        throw StoreError(.unusable, "the journal in \(path) has an event that cannot be read: \(error)")
    }
    return events
}
