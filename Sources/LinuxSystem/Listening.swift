import Glibc

/// Binds to `host:port` for an instant, as a server of this process would, and lets go of it.
///
/// - Throws: `SystemError` of the first address of the host that cannot be had, or EINVAL for a host that has none.
package func tryListening(on address: String) throws(SystemError) {
    let mark = address.lastIndex(of: ":") ?? address.endIndex
    // An IPv6 address stands in brackets before a port (RFC 3986, 3.2.2).
    let host = String(address[..<mark].drop { $0 == "[" }.prefix { $0 != "]" })
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_PASSIVE
    var first: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, String(address[mark...].dropFirst()), &hints, &first) == 0, let found = first else {
        throw SystemError("resolve", code: EINVAL, subject: address)
    }
    defer { freeaddrinfo(found) }
    let socket = Descriptor(
        adopting: try retrying("socket", subject: address) {
            Glibc.socket(found.pointee.ai_family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        })
    // As servers set it: a connection that has just ended is not somebody who listens.
    var one: Int32 = 1
    _ = setsockopt(socket.number, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
    try retrying("listen", subject: address) {
        bind(socket.number, found.pointee.ai_addr, found.pointee.ai_addrlen) == 0 ? listen(socket.number, 1) : -1
    }
}
