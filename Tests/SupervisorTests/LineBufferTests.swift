import Supervisor
import Testing

struct LineBufferTests {
    @Test func `lines are put together from any pieces`() {
        var buffer = LineBuffer(limit: 16)
        #expect(buffer.take("be".utf8).isEmpty)
        #expect(buffer.take("at\n\npha".utf8) == ["beat", ""])
        #expect(buffer.take("se=X\nbeat\n".utf8) == ["phase=X", "beat"])
    }

    @Test func `a line of exactly the limit is kept and a longer one dropped up to its newline`() {
        var buffer = LineBuffer(limit: 4)
        #expect(buffer.take("1234\n12345".utf8) == ["1234"])
        #expect(buffer.take("67890".utf8).isEmpty)
        #expect(buffer.take("x\nbeat\n".utf8) == ["beat"])
    }

    @Test func `a longer line has a placeholder, if there is one`() {
        var buffer = LineBuffer(limit: 4, placeholder: "(long)")
        #expect(buffer.take("1234\n12345\nbeat\n".utf8) == ["1234", "(long)", "beat"])
        _ = buffer.take("12345".utf8)
        #expect(buffer.takePartial() == "(long)")
        _ = buffer.take("123".utf8)
        #expect(buffer.takePartial() == "123")
        #expect(buffer.takePartial()?.isEmpty == true)
    }

    @Test func `half a line of a dead writer does not spoil the next one's first`() {
        var buffer = LineBuffer(limit: 16)
        _ = buffer.take("phase=".utf8)
        buffer.discardPartial()
        #expect(buffer.take("beat\n".utf8) == ["beat"])
    }

    @Test func `bytes that are no UTF-8 are repaired`() {
        var buffer = LineBuffer(limit: 16)
        #expect(buffer.take([0xff, 0x0a]) == ["\u{fffd}"])
    }
}
