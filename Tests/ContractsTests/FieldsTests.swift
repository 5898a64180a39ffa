import Contracts
import Testing

@Suite struct FieldsTests {
    @Test(arguments: 0..<2000 as Range<UInt64>)
    func `whatever the values are, a line reads back as what was written`(seed: UInt64) {
        var generator = Generator(seed: seed)
        var fields = Fields()
        for _ in 0..<generator.number(0...6) {
            fields.append(generator.key(), generator.bool() ? generator.text() : nil)
        }
        let line = fields.line
        #expect(Fields(line: line) == fields, "seed \(seed)")
        #expect(!line.unicodeScalars.contains("\n"), "a line is one line; seed \(seed)")
        #expect(!line.unicodeScalars.contains("\0"), "seed \(seed)")
    }

    @Test func `a value may begin with a mark that joins the equals sign before it`() {
        #expect(Fields(line: "reason=\u{301}x")["reason"] == "\u{301}x")
    }

    @Test func `the first value of a key is the one that counts`() {
        let fields = Fields(line: "a=1\ta=2\tb")
        #expect(fields["a"] == "1")
        #expect(fields["b"] == nil)
        #expect(fields.has("b"))
        #expect(!fields.has("c"))
    }

    @Test(arguments: [("", 0), ("\t\t", 0), ("=", 1), ("a=\\", 1), ("\\q=\\q", 1)])
    func `every line parses`(line: String, count: Int) {
        #expect(Fields(line: line).entries.count == count)
    }

    @Test func `an unknown escape stands for the character itself`() {
        #expect(Fields(line: "a=\\q\\t")["a"] == "q\t")
    }
}
