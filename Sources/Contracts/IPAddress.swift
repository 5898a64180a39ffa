import Glibc

/// An IPv4 or IPv6 address, without a scope.
package struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    /// 4 or 16, in network order.
    package let bytes: [UInt8]

    /// Nil unless there are 4 or 16 bytes.
    package init?(bytes: [UInt8]) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.bytes = bytes
    }

    /// Parses `192.0.2.1` or `2001:db8::1`, without brackets.
    package init?(_ text: some StringProtocol) {
        // inet_pton(3) stops at a NUL, and would take what is before it.
        guard !text.utf8.contains(0) else { return nil }
        let text = String(text)
        var four = [UInt8](repeating: 0, count: 4)
        var sixteen = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &four) == 1 {
            bytes = four
        } else if inet_pton(AF_INET6, text, &sixteen) == 1 {
            bytes = sixteen
        } else {
            return nil
        }
    }

    package static let loopback = IPAddress(unchecked: [127, 0, 0, 1])
    /// An address of the loopback, and of no job (`OwnLoopback`): who takes what comes there takes it on "any".
    package static let nobodys = IPAddress(unchecked: [127, 128, 0, 1])

    private init(unchecked bytes: [UInt8]) { self.bytes = bytes }

    package var isV4: Bool { bytes.count == 4 }

    /// What the address means to the kernel: ::ffff:192.0.2.1 is 192.0.2.1, and "any" is this host itself.
    package var canonical: IPAddress {
        if !isV4, bytes[..<10].allSatisfy({ $0 == 0 }), bytes[10] == 255, bytes[11] == 255 {
            return IPAddress(unchecked: Array(bytes[12...])).canonical
        }
        guard isUnspecified else { return self }
        return isV4 ? .loopback : IPAddress(unchecked: [UInt8](repeating: 0, count: 15) + [1])
    }

    /// 0.0.0.0 or ::
    package var isUnspecified: Bool { bytes.allSatisfy { $0 == 0 } }

    /// 127.0.0.0/8 or ::1
    package var isLoopback: Bool {
        isV4 ? bytes[0] == 127 : bytes[..<15].allSatisfy { $0 == 0 } && bytes[15] == 1
    }

    /// Whether the first `prefix` bits are those of `other`; never across families.
    package func matches(_ other: IPAddress, prefix: Int) -> Bool {
        guard bytes.count == other.bytes.count else { return false }
        for bit in 0..<min(prefix, bytes.count * 8) {
            let mask = UInt8(0x80) >> UInt8(bit % 8)
            if (bytes[bit / 8] ^ other.bytes[bit / 8]) & mask != 0 { return false }
        }
        return true
    }

    package var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(isV4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count)) != nil else { return "?" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
