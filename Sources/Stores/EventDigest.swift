import SQLite

/// What an event's row is told by: the first 16 bytes of the SHA-256 of its columns, in the column `digest`.
///
/// SQLite notices damage to its own structure; a flipped bit in a text is a valid text to it. Found when the row is read.
/// A start reads all rows: they are hashed where SQLite has them, without a copy.
final class EventDigest {
    static let columns = "seq, epoch, ts, kind, schema_v, coalesce(blob, ''), body"

    private let hash = SHA256()
    private var head: [UInt8] = []

    /// Whether the digest in a column is that of the row that a statement stands on, whose first columns are `columns`.
    func isRight(in column: Int32, of row: Statement) -> Bool {
        let digest = of(row)
        return row.withBytes(column) { $0.elementsEqual(digest) }
    }

    /// The digest of the row that a statement stands on, whose first columns are `columns`.
    func of(_ row: Statement) -> ArraySlice<UInt8> {
        begin((row.integer(0), row.integer(1), row.integer(2)))
        row.withBytes(3) { head += $0 }
        add(row.integer(4))
        row.withBytes(5) { head += $0 }
        return row.withBytes(6) { finish($0) }
    }

    func of(
        numbers: (seq: Int64, epoch: Int64, time: Int64), kind: String, version: Int64, blob: String, body: String
    ) -> [UInt8] {
        begin(numbers)
        head += kind.utf8
        add(version)
        head += blob.utf8
        var copy = body
        return Array(copy.withUTF8 { finish(UnsafeRawBufferPointer($0)) })
    }

    private func begin(_ numbers: (seq: Int64, epoch: Int64, time: Int64)) {
        head.removeAll(keepingCapacity: true)
        for number in [numbers.seq, numbers.epoch, numbers.time] {
            head += String(number).utf8
            head.append(UInt8(ascii: "\n"))
        }
    }

    /// A number in a line of its own, after the line that was begun.
    private func add(_ number: Int64) {
        head.append(UInt8(ascii: "\n"))
        head += String(number).utf8
        head.append(UInt8(ascii: "\n"))
    }

    /// The body is last: whatever is in it, the lines before it are what they are.
    private func finish(_ body: UnsafeRawBufferPointer) -> ArraySlice<UInt8> {
        head.append(UInt8(ascii: "\n"))
        hash.begin()
        head.withUnsafeBytes(hash.update)
        hash.update(body)
        return hash.finish().prefix(16)
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
