/// Cuts a stream of bytes into lines, in bounded memory.
///
/// A line of more than `limit` bytes is dropped up to its newline: the child that wrote it is at fault, and the next
/// line is good again. `placeholder` is given in its place, if there is one.
package struct LineBuffer {
    package let limit: Int
    private let placeholder: String?
    private var partial: [UInt8] = []
    private var dropping = false

    package init(limit: Int, placeholder: String? = nil) {
        self.limit = limit
        self.placeholder = placeholder
    }

    /// Takes the next bytes and returns the lines that they end, repaired to valid UTF-8, without their newlines.
    package mutating func take(_ bytes: some Sequence<UInt8>) -> [String] {
        var lines: [String] = []
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                if let line = takePartial() { lines.append(line) }
            } else if partial.count == limit {
                dropping = true
            } else {
                partial.append(byte)
            }
        }
        return lines
    }

    /// The line that has begun, as one that has ended; nil if it was dropped.
    package mutating func takePartial() -> String? {
        defer { discardPartial() }
        return dropping ? placeholder : String(decoding: partial, as: UTF8.self)
    }

    /// Forgets an unfinished line: its writer has died.
    package mutating func discardPartial() {
        partial.removeAll(keepingCapacity: true)
        dropping = false
    }
}
