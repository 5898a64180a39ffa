import Events
import Testing

struct CommandTests {
    private func parse(_ text: String) throws -> Command { try Command(parsing: Array(text.utf8), id: "nats-7") }

    @Test func `a command without an id has the transport's`() throws {
        #expect(try parse(#"{"kind":"message","text":"hi"}"#) == Command(id: "nats-7", kind: .message, text: "hi"))
        #expect(try parse(#"{"id":null,"kind":"cancel"}"#) == Command(id: "nats-7", kind: .cancel, text: ""))
    }

    @Test func `the sender's id counts`() throws {
        #expect(try parse(#"{"id":"a-1","kind":"task","text":"do it"}"#).id == "a-1")
    }

    @Test(arguments: [
        "", "no json", "[]", "\"task\"", "{}", #"{"kind":"shutdown"}"#, #"{"kind":7}"#, #"{"kind":"task"}"#,
        #"{"kind":"message","text":" \n"}"#, #"{"kind":"task","text":7}"#, #"{"kind":"cancel","id":""}"#,
        #"{"kind":"cancel","id":"a b"}"#, #"{"kind":"cancel","id":7}"#, "{\"kind\":\"cancel\"", "\u{0}",
        #"{"kind":"cancel","id":"\#(String(repeating: "x", count: 129))"}"#,
    ])
    func `what is no command is refused`(text: String) {
        #expect(throws: CommandError.self) { try parse(text) }
    }

    @Test func `a body over the limit is refused before it is parsed`() {
        let text = #"{"kind":"message","text":"\#(String(repeating: "x", count: Command.sizeLimit))"}"#
        #expect(throws: CommandError.self) { try parse(text) }
    }

    @Test func `bytes that are no UTF-8 are refused`() {
        let body = Array(#"{"kind":"message","text":""#.utf8) + [0xff] + Array(#""}"#.utf8)
        #expect(throws: CommandError.self) { try Command(parsing: body, id: "x") }
    }

    @Test func `the line for the loop is one line and reads back`() throws {
        let command = Command(id: "a", kind: .message, text: "two\nlines \u{1F980} \"quoted\" \0")
        #expect(command.line.utf8.filter { $0 == 0x0a }.count == 1)
        #expect(command.line.hasSuffix("\n"))
        #expect(try Command(parsing: Array(command.line.utf8), id: "other") == command)
    }
}
