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

    package mutating func append(_ more: some Collection<UInt8>) {
        total += Int64(more.count)
        kept += more.suffix(Self.limit)
        // Not at every piece: each time costs a move of all that stays.
        if kept.count > Self.limit + Self.slack { kept.removeFirst(kept.count - Self.limit) }
    }
}
