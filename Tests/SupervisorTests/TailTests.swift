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
}
