import Agent
import AgentFixtures
import LinuxSystem
import Testing

struct NewlineTests {
    @Test(arguments: [0, 1, 31, 32, 33, 8159, 8160, 8161, 70000])
    func `newlines are counted exactly whatever the length and the place`(length: Int) {
        var random = SeededGenerator(seed: UInt64(length))
        for density in [0, 1, 40, 255] {
            let bytes = (0..<length).map { _ in
                Int.random(in: 0..<255, using: &random) < density
                    ? UInt8(10) : UInt8.random(in: 11...255, using: &random)
            }
            #expect(bytes.withUnsafeBytes { newlines(in: $0) } == bytes.count { $0 == 10 })
        }
    }
}
