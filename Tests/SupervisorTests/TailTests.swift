import Supervisor
import Testing

struct TailTests {
    @Test(arguments: [0, 1, 4096, 65535, 65536, 65537, 300_000], [1, 7, 4096, 100_000])
    func `it keeps the last 64 KiB of whatever comes in whatever pieces`(size: Int, piece: Int) {
        let whole = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        var tail = Tail()
        for start in stride(from: 0, to: size, by: piece) { tail.append(whole[start..<min(size, start + piece)]) }
        #expect(Array(tail.bytes) == whole.suffix(Tail.limit))
        #expect(tail.total == Int64(size))
    }

    @Test func `its lines begin where a line begins, if the beginning is gone`() {
        var tail = Tail()
        tail.append(Array("half\nwhole\n".utf8))
        #expect(Array(tail.lines) == Array("half\nwhole\n".utf8))
        tail.append([UInt8](repeating: UInt8(ascii: "x"), count: Tail.limit - 8))
        #expect(tail.lines.starts(with: Array("whole\nxxx".utf8)))
        tail.append([UInt8](repeating: UInt8(ascii: "x"), count: Tail.limit))
        #expect(tail.lines.isEmpty)
    }

    @Test(arguments: [
        ("", ""), ("one", "one"), ("one\ntwo\n", "two"), ("one\ntwo\r\n\n  \n", "two"), ("\n\n", ""),
    ])
    func `its last line is the last that has something in it`(text: String, last: String) {
        var tail = Tail()
        tail.append(Array(text.utf8))
        #expect(String(decoding: tail.lastLine, as: UTF8.self) == last)
    }
}
