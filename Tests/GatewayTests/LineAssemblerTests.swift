import Gateway
import SecretRedaction
import Testing

struct LineAssemblerTests {
    private func assembler(_ secrets: [String] = []) -> LineAssembler {
        LineAssembler(redactor: Redactor(secrets: secrets))
    }

    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test func `lines come as they end, however the bytes arrive`() {
        let text = "one\ntwo\r\n\n\u{1F980}\nrest"
        for size in 1...8 {
            var assembler = assembler()
            var lines: [String] = []
            var rest = bytes(text)[...]
            while !rest.isEmpty {
                lines += assembler.take(rest.prefix(size), now: 0).map(\.text)
                rest = rest.dropFirst(size)
            }
            #expect(lines == ["one", "two", "", "\u{1F980}"])
            #expect(assembler.finish()?.text == "rest")
            #expect(assembler.finish() == nil)
        }
    }

    @Test func `a line over 64 KiB comes in parts of which nothing is lost`() {
        var assembler = assembler()
        let text = String(repeating: "0123456789", count: 20000)
        let lines = assembler.take(bytes(text + "\nnext\n"), now: 0)
        #expect(lines.map(\.text).dropLast().joined() == text)
        #expect(lines.allSatisfy { $0.text.utf8.count <= LineAssembler.partLimit })
        #expect(lines.map(\.part) == [1, 2, 3, 4, nil])
        #expect(lines.last?.text == "next")
    }

    @Test func `no character is cut in two`() {
        var assembler = assembler()
        let text = "x" + String(repeating: "\u{1F980}", count: 40000)
        let lines = assembler.take(bytes(text + "\n"), now: 0)
        #expect(lines.count == 3)
        #expect(!lines.contains { $0.isLossy })
        #expect(lines.map(\.text).joined() == text)
    }

    @Test func `bytes that are no UTF-8 are replaced and marked`() {
        var assembler = assembler()
        let lines = assembler.take([0x61, 0xff, 0x62, 0x0a, 0x63, 0x0a], now: 0)
        #expect(lines == [.init(text: "a\u{fffd}b", isLossy: true), .init(text: "c")])
    }

    @Test func `a line that does not end is shown after its patience, and its rest is a further part`() {
        var assembler = assembler()
        #expect(assembler.take(bytes("Password? "), now: 1000).isEmpty)
        #expect(assembler.flushAt == 1000 + LineAssembler.patience)
        #expect(assembler.flush(now: 1249) == nil)
        #expect(assembler.flush(now: 1250) == .init(text: "Password? ", part: 1))
        #expect(assembler.flushAt == nil)
        #expect(assembler.take(bytes("yes\n"), now: 2000) == [.init(text: "yes", part: 2)])
    }

    @Test func `a flush holds back half a character and what may become a secret`() {
        var assembler = assembler(["topsecret-value"])
        _ = assembler.take(bytes("say topsecret-va"), now: 0)
        #expect(assembler.flush(now: 250)?.text == "say ")
        #expect(assembler.flush(now: 10000) == nil)
        #expect(assembler.take(bytes("lue\n"), now: 10000).map(\.text) == ["topsecret-value"])
        _ = assembler.take([0x61, 0xf0, 0x9f, 0xa6], now: 0)
        #expect(assembler.flush(now: 250)?.text == "a")
        #expect(assembler.take([0x80, 0x0a], now: 300).map(\.text) == ["\u{1F980}"])
    }

    @Test(arguments: [-20, -15, -14, -8, -1, 0, 1, 8])
    func `a secret across the cut of a long line stays whole`(offset: Int) {
        let secret = "topsecret-value"
        var assembler = assembler([secret])
        let head = String(repeating: "x", count: LineAssembler.partLimit + offset)
        let lines = assembler.take(bytes(head + secret + String(repeating: "y", count: 100_000) + "\n"), now: 0)
        #expect(lines.contains { $0.text.contains(secret) })
        #expect(lines.map(\.text).joined() == head + secret + String(repeating: "y", count: 100_000))
    }
}
