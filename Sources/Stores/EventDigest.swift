import SQLite

/// What an event's row is told by: the first 16 bytes of the SHA-256 of its columns, in the column `digest`.
///
/// SQLite notices damage to its own structure; a flipped bit in a text is a valid text to it. Found when the row is read.
enum EventDigest {
    static let columns = "seq, epoch, ts, kind, schema_v, coalesce(blob, ''), body"

    /// The digest of the row that a statement stands on, whose first columns are `columns`.
    static func of(_ row: Statement) -> [UInt8] {
        of(
            numbers: (row.integer(0), row.integer(1), row.integer(2)), kind: row.text(3) ?? "",
            version: row.integer(4), blob: row.text(5) ?? "", body: row.text(6) ?? "")
    }

    static func of(
        numbers: (seq: Int64, epoch: Int64, time: Int64), kind: String, version: Int64, blob: String, body: String
    ) -> [UInt8] {
        let (seq, epoch, time) = numbers
        // The body is last: whatever is in it, the lines before it are what they are.
        return Array(sha256Bytes("\(seq)\n\(epoch)\n\(time)\n\(kind)\n\(version)\n\(blob)\n\(body)").prefix(16))
    }

    /// Gives one to each row that has none: those of older versions.
    static func fill(_ database: Database) throws(SQLiteError) {
        let last = try database.integer("SELECT coalesce(max(seq), 0) FROM event") ?? 0
        let row = try database.statement("SELECT \(columns) FROM event WHERE seq = ? AND digest IS NULL")
        for seq in stride(from: Int64(1), through: last, by: 1) {
            row.reset()
            try row.bind([seq])
            guard try row.step() else { continue }
            let digest = of(row)
            row.reset()
            try database.run("UPDATE event SET digest = ? WHERE seq = ?", digest, seq)
        }
    }

    /// The first event up to `seq` whose row is not what was written, nil if there is none.
    static func firstDamaged(in database: Database, through seq: Int64) throws(SQLiteError) -> Int64? {
        let row = try database.statement("SELECT \(columns), digest FROM event WHERE seq <= ? ORDER BY seq")
        try row.bind([seq])
        defer { row.reset() }
        while try row.step() {
            if row.bytes(7) != of(row) { return row.integer(0) }
        }
        return nil
    }
}
