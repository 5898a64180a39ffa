/// The end of a stream of bytes: at least the last 64 KiB, in at most 80 KiB of memory.
package struct Tail {
    package static let limit = 64 << 10
    private static let slack = 16 << 10
    private var kept: [UInt8] = []
    /// Bytes that came in all.
    package private(set) var total: Int64 = 0

    package init() {}

    /// The last bytes, at most `limit`.
    package var bytes: ArraySlice<UInt8> { kept.suffix(Self.limit) }

    /// The last bytes from the beginning of a line on: before it may stand the rest of one that held a secret, which
    /// nothing would recognise any more.
    package var lines: ArraySlice<UInt8> {
        guard total > bytes.count else { return bytes }
        return bytes.drop { $0 != UInt8(ascii: "\n") }.dropFirst()
    }

    /// The last line that has something in it, at most 4096 bytes of its end; empty if there is none.
    package var lastLine: ArraySlice<UInt8> {
        let isEnd: (UInt8) -> Bool = { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
        let ends = lines.split(whereSeparator: isEnd)
        return ends.last { line in line.contains { $0 > UInt8(ascii: " ") } }.map { $0.prefix(4096) } ?? []
    }

    package mutating func append(_ more: some Collection<UInt8>) {
        total += Int64(more.count)
        kept += more.suffix(Self.limit)
        // Not at every piece: each time costs a move of all that stays.
        if kept.count > Self.limit + Self.slack { kept.removeFirst(kept.count - Self.limit) }
    }
}
