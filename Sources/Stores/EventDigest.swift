import SQLite

/// What an event's row is told by: the first 16 bytes of the SHA-256 of its columns, in the column `digest`.
///
/// SQLite notices damage to its own structure; a flipped bit in a text is a valid text to it. Found when the row is read.
/// A start reads all rows: they are hashed where SQLite has them, without a copy.
final class EventDigest {
    static let columns = "seq, epoch, ts, kind, schema_v, coalesce(blob, ''), body"

    private let hash = SHA256()
    /// A number in digits, and a newline in its last byte: a `String` of each would cost as much as the hash of a row.
    private let line = UnsafeMutableRawBufferPointer.allocate(byteCount: 21, alignment: 1)

    init() { line[20] = UInt8(ascii: "\n") }

    deinit { line.deallocate() }

    /// Whether the digest in a column is that of the row that a statement stands on, whose first columns are `columns`.
    func isRight(in column: Int32, of row: Statement) -> Bool {
        give(row)
        return row.withBytes(column) { digest in
            hash.finish {
                digest.count == 16 && digest.loadUnaligned(as: UInt128.self) == $0.loadUnaligned(as: UInt128.self)
            }
        }
    }

    /// The digest of the row that a statement stands on, whose first columns are `columns`.
    func of(_ row: Statement) -> [UInt8] {
        give(row)
        return hash.finish { Array($0.prefix(16)) }
    }

    private func give(_ row: Statement) {
        begin((row.integer(0), row.integer(1), row.integer(2)))
        row.withBytes(3, hash.update)
        newline()
        give(row.integer(4))
        row.withBytes(5, hash.update)
        newline()
        // The body is last: whatever is in it, the lines before it are what they are.
        row.withBytes(6, hash.update)
    }

    func of(
        numbers: (seq: Int64, epoch: Int64, time: Int64), kind: String, version: Int64, blob: String, body: String
    ) -> [UInt8] {
        begin(numbers)
        give(kind)
        newline()
        give(version)
        give(blob)
        newline()
        give(body)
        return hash.finish { Array($0.prefix(16)) }
    }

    private func begin(_ numbers: (seq: Int64, epoch: Int64, time: Int64)) {
        hash.begin()
        give(numbers.seq)
        give(numbers.epoch)
        give(numbers.time)
    }

    /// A number in a line of its own.
    private func give(_ number: Int64) {
        var (start, rest) = (20, number.magnitude)
        repeat {
            start -= 1
            line[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        } while rest > 0
        if number < 0 {
            start -= 1
            line[start] = UInt8(ascii: "-")
        }
        hash.update(UnsafeRawBufferPointer(rebasing: line[start...]))
    }

    private func give(_ text: String) {
        var copy = text
        copy.withUTF8 { hash.update(UnsafeRawBufferPointer($0)) }
    }

    private func newline() { hash.update(UnsafeRawBufferPointer(rebasing: line[20...])) }

    /// Gives one to each row that has none: those of older versions.
    static func fill(_ database: Database) throws(SQLiteError) {
        let last = try database.integer("SELECT coalesce(max(seq), 0) FROM event") ?? 0
        let row = try database.statement("SELECT \(columns) FROM event WHERE seq = ? AND digest IS NULL")
        let digests = EventDigest()
        for seq in stride(from: Int64(1), through: last, by: 1) {
            row.reset()
            try row.bind([seq])
            guard try row.step() else { continue }
            let digest = digests.of(row)
            row.reset()
            try database.run("UPDATE event SET digest = ? WHERE seq = ?", digest, seq)
        }
    }

    /// The first of these events whose row is not what was written, nil if there is none.
    static func firstDamaged(
        in database: Database, after: Int64, through last: Int64
    ) throws(SQLiteError) -> Int64? {
        let row = try database.statement(
            "SELECT \(columns), digest FROM event WHERE seq > ? AND seq <= ? ORDER BY seq")
        try row.bind([after, last])
        defer { row.reset() }
        let digests = EventDigest()
        while try row.step() {
            if !digests.isRight(in: 7, of: row) { return row.integer(0) }
        }
        return nil
    }

    static func damage(of seq: Int64) -> String { "event \(seq) is not what was written: its digest is another" }
}
