package import Contracts
import Glibc

/// A socket address as connect(2) and bind(2) take it: struct sockaddr.
package enum SocketAddress: Equatable, Sendable {
    /// With the scope of a link-local IPv6 address, else 0.
    case internet(IPAddress, port: UInt16, scope: UInt32)
    case path([UInt8])
    case abstract([UInt8])
    /// AF_UNSPEC: undoes a connection.
    case unspecified
    /// One that the kernel would not take for a socket of this family: EINVAL or EAFNOSUPPORT.
    case invalid(Int32)

    /// The longest that the kernel takes: struct sockaddr_storage.
    package static let longest = 128

    /// As the kernel reads it for a socket of `family` (net/ipv4/af_inet.c, net/ipv6/af_inet6.c, net/unix/af_unix.c).
    package init(_ bytes: [UInt8], family: Int32) {
        guard bytes.count >= 2 else {
            self = .invalid(EINVAL)
            return
        }
        let named = Int32(UInt16(bytes[0]) | UInt16(bytes[1]) << 8)
        switch family {
        case AF_UNIX:
            guard named == AF_UNIX, (3...110).contains(bytes.count) else {
                self = .invalid(EINVAL)
                return
            }
            let name = bytes[2...]
            self = name.first == 0 ? .abstract(Array(name)) : .path(Array(name.prefix { $0 != 0 }))
        case _ where named == AF_UNSPEC:
            self = .unspecified
        case AF_INET:
            self = bytes.count < 16 ? .invalid(EINVAL) : Self.internet(bytes, family: AF_INET, named: named)
        default:
            self = bytes.count < 24 ? .invalid(EINVAL) : Self.internet(bytes, family: AF_INET6, named: named)
        }
    }

    private static func internet(_ bytes: [UInt8], family: Int32, named: Int32) -> SocketAddress {
        guard named == family else { return .invalid(EAFNOSUPPORT) }
        let port = UInt16(bytes[2]) << 8 | UInt16(bytes[3])
        let range = family == AF_INET ? 4..<8 : 8..<24
        guard let address = IPAddress(bytes: Array(bytes[range])) else { return .invalid(EINVAL) }
        guard family == AF_INET6, bytes.count >= 28 else { return .internet(address, port: port, scope: 0) }
        let scope = bytes[24..<28].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return .internet(address, port: port, scope: scope)
    }

    /// The bytes for a socket of `family`: an IPv4 address as a mapped one for IPv6.
    package static func bytes(
        _ address: IPAddress, port: UInt16, scope: UInt32 = 0, family: Int32
    ) -> [UInt8] {
        let port = [UInt8(port >> 8), UInt8(port & 0xff)]
        let name = [UInt8(family), 0] + port
        if family == AF_INET { return name + address.bytes + [UInt8](repeating: 0, count: 8) }
        let mapped = address.isV4 ? [UInt8](repeating: 0, count: 10) + [255, 255] + address.bytes : address.bytes
        return name + [0, 0, 0, 0] + mapped + (0..<4).map { UInt8(truncatingIfNeeded: scope >> ($0 * 8)) }
    }

    /// `192.0.2.1:443`, `[2001:db8::1]:443`.
    package static func text(_ address: IPAddress, _ port: UInt16) -> String {
        address.isV4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }
}
