import Providers
import Testing

struct ServerSentEventsTests {
    private func parse(_ pieces: [[UInt8]], limit: Int = 1000) throws -> [ServerSentEvent] {
        var parser = ServerSentEvents(limit: limit)
        return try pieces.flatMap { try parser.feed($0) }
    }

    private func parse(_ text: String) throws -> [ServerSentEvent] { try parse([Array(text.utf8)]) }

    private func event(_ data: String, _ name: String? = nil) -> ServerSentEvent {
        ServerSentEvent(name: name, data: data)
    }

    @Test(arguments: ["\n", "\r\n", "\r"]) func `a line ends with LF, CRLF or CR`(end: String) throws {
        let text = ["event: a", "data: 1", "data: 2", "", "data: 3", "", ""].joined(separator: end)
        #expect(try parse(text) == [event("1\n2", "a"), event("3")])
    }

    @Test func `the kinds of line end may be mixed`() throws {
        #expect(try parse("data: 1\r\n\ndata: 2\r\rdata: 3\n\r\n") == [event("1"), event("2"), event("3")])
    }

    @Test func `the space after the colon is optional, and only one belongs to it`() throws {
        #expect(try parse("data:x\n\ndata: x\n\ndata:  x\n\n") == [event("x"), event("x"), event(" x")])
    }

    @Test func `a line that begins with a colon is a comment`() throws {
        #expect(try parse(": ping\n\ndata: 1\n: in between\ndata: 2\n\n") == [event("1\n2")])
    }

    @Test func `one byte order mark is stripped, at the beginning only`() throws {
        #expect(try parse("\u{FEFF}data: 1\n\ndata: \u{FEFF}2\n\n") == [event("1"), event("\u{FEFF}2")])
        #expect(try parse("\u{FEFF}\u{FEFF}data: 1\n\n") == [])
    }

    @Test func `an event without its empty line is no event`() throws {
        #expect(try parse("data: 1\n\ndata: 2\n") == [event("1")])
        #expect(try parse("data: 1\n\ndata: 2") == [event("1")])
    }

    @Test func `a field without a colon has an empty value, and unknown fields mean nothing`() throws {
        #expect(try parse("data\nid: 7\nretry: 9\nnews: x\ndata: 1\n\n") == [event("\n1")])
    }

    @Test func `an event without data is no event, and its name does not stay`() throws {
        #expect(try parse("event: a\n\ndata: 1\n\n") == [event("1")])
    }

    @Test func `bytes that are no UTF-8 are replaced`() throws {
        #expect(try parse([Array("data: ".utf8), [0xFF], Array("x\n\n".utf8)]) == [event("\u{FFFD}x")])
    }

    @Test func `an event may be as large as its limit and no larger`() throws {
        let fitting = Array("data: \(String(repeating: "x", count: 94))".utf8)
        #expect(try parse([fitting, Array("\n\n".utf8)], limit: 100).count == 1)
        #expect(throws: EventTooLarge.self) { try parse([fitting, Array("x".utf8)], limit: 100) }
        // In lines, too, and in a line that never ends.
        #expect(throws: EventTooLarge.self) {
            try parse(Array(repeating: Array("data: x\n".utf8), count: 60), limit: 100)
        }
        #expect(throws: EventTooLarge.self) { try parse(Array(repeating: [0x20], count: 101), limit: 100) }
    }

    private static let difficult =
        "\u{FEFF}: hi\r\nevent: añ\r\ndata: {\"a\":\r\ndata:1}\r\n\r\ndata: 😀é\n\n\r\rdata\n\nevent:x\rdata: end\r\r: bye\ndata: no"

    @Test func `however the bytes are cut in two, the events are the same`() throws {
        let bytes = Array(Self.difficult.utf8)
        let whole = try parse([bytes])
        #expect(whole == [event("{\"a\":\n1}", "añ"), event("😀é"), event(""), event("end", "x")])
        for cut in 0...bytes.count {
            #expect(try parse([Array(bytes[..<cut]), Array(bytes[cut...])]) == whole, "cut at \(cut)")
        }
        #expect(try parse(bytes.map { [$0] }) == whole)
    }

    @Test(arguments: 0..<50) func `however the bytes are cut in pieces, the events are the same`(seed: UInt64) throws {
        var dice = Dice(seed)
        let bytes = (0..<400).map { _ in Array("\n\r: datevn\u{FE}".utf8).randomElement(using: &dice) ?? 0 }
        var pieces: [[UInt8]] = [[]]
        for byte in bytes {
            if Int.random(in: 0..<4, using: &dice) == 0 { pieces.append([]) }
            pieces[pieces.count - 1].append(byte)
        }
        #expect(try parse(pieces) == parse([bytes]))
    }
}
