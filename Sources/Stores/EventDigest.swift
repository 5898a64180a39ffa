import SQLite

/// What an event's row is told by: the first 16 bytes of the SHA-256 of its columns, in the column `digest`.
///
/// SQLite notices damage to its own structure; a flipped bit in a text is a valid text to it. Found when the row is read.
/// A start reads all rows: they are hashed where SQLite has them, without a copy.
final class EventDigest {
    static let columns = "seq, epoch, ts, kind, schema_v, coalesce(blob, ''), body"

    private let hash = SHA256()

    /// Whether the digest in a column is that of the row that a statement stands on, whose first columns are `columns`.
    func isRight(in column: Int32, of row: Statement) -> Bool {
        let digest = of(row)
        return row.withBytes(column) { $0.elementsEqual(digest) }
    }

    /// The digest of the row that a statement stands on, whose first columns are `columns`.
    func of(_ row: Statement) -> ArraySlice<UInt8> {
        begin((row.integer(0), row.integer(1), row.integer(2)))
        row.withBytes(3, hash.update)
        add(row.integer(4))
        row.withBytes(5, hash.update)
        add("\n")
        // The body is last: whatever is in it, the lines before it are what they are.
        row.withBytes(6, hash.update)
        return hash.finish().prefix(16)
    }

    func of(
        numbers: (seq: Int64, epoch: Int64, time: Int64), kind: String, version: Int64, blob: String, body: String
    ) -> [UInt8] {
        begin(numbers)
        add(kind)
        add(version)
        add("\(blob)\n")
        add(body)
        return Array(hash.finish().prefix(16))
    }

    private func begin(_ numbers: (seq: Int64, epoch: Int64, time: Int64)) {
        hash.begin()
        add("\(numbers.seq)\n\(numbers.epoch)\n\(numbers.time)\n")
    }

    /// A number in a line of its own, after the line that was begun.
    private func add(_ number: Int64) { add("\n\(number)\n") }

    private func add(_ text: String) {
        var copy = text
        copy.withUTF8 { hash.update(UnsafeRawBufferPointer($0)) }
    }

    /// Gives one to each row that has none: those of older versions.
    static func fill(_ database: Database) throws(SQLiteError) {
        let last = try database.integer("SELECT coalesce(max(seq), 0) FROM event") ?? 0
        let row = try database.statement("SELECT \(columns) FROM event WHERE seq = ? AND digest IS NULL")
        let digests = EventDigest()
        for seq in stride(from: Int64(1), through: last, by: 1) {
            row.reset()
            try row.bind([seq])
            guard try row.step() else { continue }
            let digest = Array(digests.of(row))
            row.reset()
            try database.run("UPDATE event SET digest = ? WHERE seq = ?", digest, seq)
        }
    }

    /// The first event up to `seq` whose row is not what was written, nil if there is none.
    static func firstDamaged(in database: Database, through seq: Int64) throws(SQLiteError) -> Int64? {
        let row = try database.statement("SELECT \(columns), digest FROM event WHERE seq <= ? ORDER BY seq")
        try row.bind([seq])
        defer { row.reset() }
        let digests = EventDigest()
        while try row.step() {
            if !digests.isRight(in: 7, of: row) { return row.integer(0) }
        }
        return nil
    }
}
