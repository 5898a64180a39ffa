/// Addresses and ports that a command may connect to: an address or a block of them, and a port or all of them.
package struct NetworkTarget: Hashable, Sendable, CustomStringConvertible {
    package var address: IPAddress
    /// How many bits of the address count.
    package var prefix: Int
    /// Nil is every port.
    package var port: UInt16?

    /// Nil if the prefix is longer than the address.
    package init?(_ address: IPAddress, prefix: Int? = nil, port: UInt16?) {
        let bits = address.bytes.count * 8
        guard (0...bits).contains(prefix ?? bits), port != 0 else { return nil }
        self.address = address
        self.prefix = prefix ?? bits
        self.port = port
    }

    /// Parses `192.0.2.1:443`, `10.0.0.0/8:*`, `[2001:db8::1]:443` or `[2001:db8::/32]:443`.
    package init?(_ text: some StringProtocol) {
        guard let (host, port) = Self.split(text) else { return nil }
        let parts = host.split(separator: "/", omittingEmptySubsequences: false)
        guard let first = parts.first, parts.count <= 2, let address = IPAddress(first) else { return nil }
        guard address.isV4 != text.hasPrefix("[") else { return nil }
        var prefix: Int?
        if parts.count == 2 {
            guard let bits = Self.decimal(parts[1]) else { return nil }
            prefix = bits
        }
        self.init(address, prefix: prefix, port: port)
    }

    /// The host without brackets and the port (nil: `*`) of `host:port` or `[host]:port`; nil if it is neither.
    package static func split(_ text: some StringProtocol) -> (host: String, port: UInt16?)? {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        var host = String(text[..<colon])
        let port = text[text.index(after: colon)...]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty else { return nil }
        if port == "*" { return (host, nil) }
        guard let number = decimal(port), let port = UInt16(exactly: number), port > 0 else { return nil }
        return (host, port)
    }

    private static func decimal(_ text: some StringProtocol) -> Int? {
        // Int(_:) also takes a sign.
        text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ? Int(text) : nil
    }

    package func contains(_ address: IPAddress, _ port: UInt16) -> Bool {
        (self.port == nil || self.port == port) && self.address.canonical.matches(address.canonical, prefix: prefix)
    }

    package var description: String {
        let bits = address.bytes.count * 8
        let host = prefix == bits ? "\(address)" : "\(address)/\(prefix)"
        return (address.isV4 ? host : "[\(host)]") + ":" + (port.map { "\($0)" } ?? "*")
    }
}

/// Where a command may connect to.
///
/// As text: `none`, `open`, or targets with commas between them.
package enum NetworkPolicy: Equatable, Sendable, CustomStringConvertible {
    case none
    case only([NetworkTarget])
    /// Everywhere, by TCP and UDP.
    case open

    package init?(_ text: String) {
        switch text {
        case "none": self = .none
        case "open": self = .open
        default:
            var targets: [NetworkTarget] = []
            for part in text.split(separator: ",", omittingEmptySubsequences: false) {
                guard let target = NetworkTarget(part) else { return nil }
                targets.append(target)
            }
            self = .only(targets)
        }
    }

    package var description: String {
        switch self {
        case .none: "none"
        case .open: "open"
        case .only(let targets): targets.map(\.description).joined(separator: ",")
        }
    }

    package func allows(_ address: IPAddress, _ port: UInt16) -> Bool {
        switch self {
        case .none: false
        case .open: true
        case .only(let targets): targets.contains { $0.contains(address, port) }
        }
    }
}

/// The loopback addresses of a job's commands: where their servers really are when they ask for 127.0.0.1, ::1 or "any".
///
/// All of 127.0.0.0/8 is this host. On an address that nobody else uses, a command's server cannot stand in the place
/// of one that the agent or a sidecar connects to. A server that takes IPv6 only has the next one, as an IPv4 address
/// mapped into IPv6: there is only one ::1.
package struct OwnLoopback: Equatable, Sendable, CustomStringConvertible {
    package let v4: IPAddress
    package let v6: IPAddress

    /// From 127.64.0.2 to 127.127.255.254, the last byte even: far from 127.0.0.53 and the like.
    package init?(_ text: some StringProtocol) {
        guard let address = IPAddress(text), address.isV4, address.bytes[0] == 127, address.bytes[1] & 0xc0 == 64,
            address.bytes[3] & 1 == 0, address.bytes[3] != 0,
            let next = IPAddress(bytes: address.bytes[..<3] + [address.bytes[3] | 1])
        else { return nil }
        v4 = address
        v6 = next
    }

    /// One of two million.
    package static func random() -> OwnLoopback {
        var generator = SystemRandomNumberGenerator()
        while true {
            let number = UInt32.random(in: 0..<(1 << 22), using: &generator)
            let text = "127.\(64 + number >> 16).\(number >> 8 & 255).\(number & 254)"
            if let address = OwnLoopback(text) { return address }
        }
    }

    package var description: String { "\(v4)" }
}

/// Where the servers that a command starts can be reached from.
///
/// As text: `none`, `loopback`, or the address that is the loopback of several commands.
package enum NetworkListening: Equatable, Sendable, CustomStringConvertible {
    /// There can be none.
    case none
    /// Only from commands with the same loopback.
    case loopback(OwnLoopback)

    package init?(_ text: String) {
        switch text {
        case "none": self = .none
        case "loopback": self = .loopback(.random())
        default:
            guard let own = OwnLoopback(text) else { return nil }
            self = .loopback(own)
        }
    }

    package var own: OwnLoopback? {
        if case .loopback(let own) = self { own } else { nil }
    }

    package var description: String { own.map { "\($0)" } ?? "none" }
}
