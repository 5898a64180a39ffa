/// One server-sent event.
package struct ServerSentEvent: Equatable, Sendable {
    /// The last `event:` line, nil if there was none: many servers send none.
    package var name: String?
    /// The `data:` lines, joined with line feeds.
    package var data: String

    package init(name: String? = nil, data: String) {
        self.name = name
        self.data = data
    }
}

/// An event that is larger than allowed.
package struct EventTooLarge: Error, Equatable {
    /// Bytes.
    package let limit: Int
}

/// Parses a stream of server-sent events, however its bytes are cut into pieces.
///
/// Works on bytes: a piece may end inside of a UTF-8 sequence or between CR and LF. A line ends with LF, CRLF or CR; an
/// event ends with an empty line, and what has none when the stream ends is no event.
package struct ServerSentEvents {
    private static let lineFeed = UInt8(ascii: "\n")
    private static let carriageReturn = UInt8(ascii: "\r")

    private let limit: Int
    private var line: [UInt8] = []
    private var isFirstLine = true
    /// The last byte was a CR: an LF now belongs to it.
    private var afterCarriageReturn = false
    private var name: String?
    private var data: [UInt8]?

    /// - Parameter limit: the largest event, in bytes.
    package init(limit: Int) { self.limit = limit }

    /// - Returns: the events that have ended within these bytes.
    package mutating func feed(_ bytes: some RandomAccessCollection<UInt8>) throws(EventTooLarge) -> [ServerSentEvent] {
        var events: [ServerSentEvent] = []
        var rest = bytes[...]
        if afterCarriageReturn, let first = rest.first {
            afterCarriageReturn = false
            if first == Self.lineFeed { rest = rest.dropFirst() }
        }
        while let end = rest.firstIndex(where: { $0 == Self.lineFeed || $0 == Self.carriageReturn }) {
            try extend(with: rest[..<end])
            if let event = endLine() { events.append(event) }
            let isReturn = rest[end] == Self.carriageReturn
            rest = rest[rest.index(after: end)...]
            guard isReturn else { continue }
            if rest.isEmpty { afterCarriageReturn = true }
            if rest.first == Self.lineFeed { rest = rest.dropFirst() }
        }
        try extend(with: rest)
        return events
    }

    private mutating func extend(with bytes: some Collection<UInt8>) throws(EventTooLarge) {
        guard line.count + bytes.count + (data?.count ?? 0) <= limit else { throw EventTooLarge(limit: limit) }
        line.append(contentsOf: bytes)
    }

    private mutating func endLine() -> ServerSentEvent? {
        defer { line.removeAll(keepingCapacity: line.count < 65536) }
        if isFirstLine {
            isFirstLine = false
            if line.starts(with: [0xEF, 0xBB, 0xBF]) { line.removeFirst(3) }
        }
        guard !line.isEmpty else {
            defer { (name, data) = (nil, nil) }
            return data.map { ServerSentEvent(name: name, data: String(decoding: $0, as: UTF8.self)) }
        }
        let colon = line.firstIndex(of: UInt8(ascii: ":")) ?? line.endIndex
        var value = line[colon...].dropFirst()
        if value.first == UInt8(ascii: " ") { value = value.dropFirst() }
        // An empty field name is a comment; `id`, `retry` and unknown fields mean nothing to us.
        switch String(decoding: line[..<colon], as: UTF8.self) {
        case "event": name = String(decoding: value, as: UTF8.self)
        case "data":
            if data == nil { data = Array(value) } else { data?.append(Self.lineFeed); data?.append(contentsOf: value) }
        default: break
        }
        return nil
    }
}
