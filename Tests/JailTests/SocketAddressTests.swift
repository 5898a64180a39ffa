import Contracts
import Glibc
import Jail
import Testing

@Suite struct SocketAddressTests {
    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    @Test(arguments: ["192.0.2.1", "0.0.0.0", "255.255.255.255"])
    func `an IPv4 address reads back from its bytes, and mapped from IPv6's`(text: String) throws {
        let v4 = try address(text)
        let bytes = SocketAddress.bytes(v4, port: 0xabcd, family: AF_INET)
        #expect(bytes.count == 16)
        #expect(SocketAddress(bytes, family: AF_INET) == .internet(v4, port: 0xabcd, scope: 0))
        let mapped = SocketAddress(SocketAddress.bytes(v4, port: 1, family: AF_INET6), family: AF_INET6)
        #expect(mapped == .internet(try address("::ffff:" + text), port: 1, scope: 0))
    }

    @Test func `an IPv6 address keeps its scope`() throws {
        let v6 = try address("fe80::1")
        let bytes = SocketAddress.bytes(v6, port: 443, scope: 0x0102_0304, family: AF_INET6)
        #expect(bytes.count == 28)
        #expect(SocketAddress(bytes, family: AF_INET6) == .internet(v6, port: 443, scope: 0x0102_0304))
        #expect(SocketAddress(Array(bytes.prefix(24)), family: AF_INET6) == .internet(v6, port: 443, scope: 0))
    }

    @Test(
        arguments: [
            ([2, 0, 0, 1, 127, 0, 0, 1], AF_INET, SocketAddress.invalid(EINVAL)),
            ([10, 0] + [UInt8](repeating: 0, count: 26), AF_INET, .invalid(EAFNOSUPPORT)),
            ([2, 0] + [UInt8](repeating: 0, count: 26), AF_INET6, .invalid(EAFNOSUPPORT)),
            ([2], AF_INET, .invalid(EINVAL)),
            ([0, 0], AF_INET, .unspecified),
            ([0, 0], AF_UNIX, .invalid(EINVAL)),
            ([1, 0], AF_UNIX, .invalid(EINVAL)),
            ([1, 0, 0x2f, 0x61, 0, 0x62], AF_UNIX, .path([0x2f, 0x61])),
            ([1, 0, 0, 0x61, 0, 0x62], AF_UNIX, .abstract([0, 0x61, 0, 0x62])),
            ([1, 0] + [UInt8](repeating: 0x61, count: 109), AF_UNIX, .invalid(EINVAL)),
        ] as [([UInt8], Int32, SocketAddress)])
    func `bytes are read as the kernel reads them`(bytes: [UInt8], family: Int32, expected: SocketAddress) {
        #expect(SocketAddress(bytes, family: family) == expected)
    }

    @Test(arguments: 0..<3000 as Range<UInt64>)
    func `no bytes break it`(seed: UInt64) {
        var generator = SplitMix(seed: seed)
        let count = Int.random(in: 0...SocketAddress.longest, using: &generator)
        var bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
        if count > 1 { bytes.replaceSubrange(0..<2, with: [[0, 1, 2, 10].randomElement(using: &generator) ?? 0, 0]) }
        for family in [AF_UNIX, AF_INET, AF_INET6] { _ = SocketAddress(bytes, family: family) }
    }
}
