package import SecretRedaction

/// Cuts a stream of bytes into lines.
///
/// Memory is bounded whatever comes: a line over 64 KiB is given in parts. A line that does not end is given as it is
/// 250 ms after its last bytes began to wait, so that a prompt or a progress display is seen. No cut goes through a
/// secret, as far as `Redactor` can tell one.
package struct LineAssembler {
    package struct Line: Equatable, Sendable {
        package var text: String
        /// Bytes that are no UTF-8 were replaced by U+FFFD.
        package var isLossy = false
        /// The number of this part, from 1, if the line was not given as a whole.
        package var part: Int?

        package init(text: String, isLossy: Bool = false, part: Int? = nil) {
            self.text = text
            self.isLossy = isLossy
            self.part = part
        }
    }

    package static let partLimit = 64 << 10
    package static let patience: Int64 = 250

    var redactor: Redactor
    private var buffer: [UInt8] = []
    /// Parts of the present line that were given already.
    private var parts = 0
    /// When what is in the buffer is to be given though the line has not ended; nil if it waits for more.
    package private(set) var flushAt: Int64?

    package init(redactor: Redactor) { self.redactor = redactor }

    /// Takes the next bytes; gives the lines that they complete. `now` is of the monotonic clock, in milliseconds.
    package mutating func take(_ bytes: some Collection<UInt8>, now: Int64) -> [Line] {
        var lines: [Line] = []
        var rest = Array(bytes)[...]
        while !rest.isEmpty {
            let end = rest.firstIndex(of: UInt8(ascii: "\n"))
            let room = Self.partLimit + redactor.depth - buffer.count
            let piece = rest[..<(end ?? rest.endIndex)].prefix(max(1, room))
            buffer += piece
            rest = rest[piece.endIndex...]
            if let end, rest.startIndex == end {
                rest = rest.dropFirst()
                if buffer.count > Self.partLimit { lines.append(part(upTo: safeCut())) }
                lines.append(finished())
            } else if buffer.count >= Self.partLimit + redactor.depth {
                lines.append(part(upTo: safeCut()))
            }
        }
        if buffer.isEmpty { flushAt = nil } else if !lines.isEmpty || flushAt == nil { flushAt = now + Self.patience }
        return lines
    }

    /// Gives what has waited long enough for the end of its line, but for what may be the beginning of a secret.
    package mutating func flush(now: Int64) -> Line? {
        guard let due = flushAt, now >= due else { return nil }
        flushAt = nil
        let cut = redactor.safeCut(buffer, at: buffer.count)
        let whole = cut - incompleteSuffix(buffer[..<cut])
        return whole > 0 ? part(upTo: whole) : nil
    }

    /// The stream has ended: gives what is left, if there is something.
    package mutating func finish() -> Line? {
        flushAt = nil
        return buffer.isEmpty ? nil : finished()
    }

    private mutating func finished() -> Line {
        if buffer.last == UInt8(ascii: "\r") { buffer.removeLast() }
        let line = Self.line(buffer[...], part: parts > 0 ? parts + 1 : nil)
        buffer = []
        parts = 0
        return line
    }

    private func safeCut() -> Int {
        let cut = redactor.safeCut(buffer, at: Self.partLimit)
        // A secret as long as a whole part is no longer one line's business: better parts than no end.
        return cut > 0 ? cut : Self.partLimit
    }

    private mutating func part(upTo cut: Int) -> Line {
        var end = cut - incompleteSuffix(buffer[..<cut])
        if end == 0 { end = cut }
        parts += 1
        defer { buffer.removeFirst(end) }
        return Self.line(buffer[..<end], part: parts)
    }

    private static func line(_ bytes: ArraySlice<UInt8>, part: Int?) -> Line {
        if let text = String(validating: bytes, as: UTF8.self) { return Line(text: text, part: part) }
        return Line(text: String(decoding: bytes, as: UTF8.self), isLossy: true, part: part)
    }

    /// Bytes at the end that begin a character which has not come whole.
    private func incompleteSuffix(_ bytes: ArraySlice<UInt8>) -> Int {
        for (offset, byte) in bytes.suffix(3).reversed().enumerated() {
            let needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
            if needed > 1 { return needed > offset + 1 ? offset + 1 : 0 }
            if byte < 0x80 { return 0 }
        }
        return 0
    }
}
