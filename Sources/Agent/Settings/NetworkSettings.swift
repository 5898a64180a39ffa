package import Contracts
import Glibc
import LinuxSystem

/// What the commands of a job may connect to: `AGENT_NETWORK`, `AGENT_NETWORK_LISTEN`, and the proxy.
package struct NetworkSettings: Equatable, Sendable {
    package enum Policy: Equatable, Sendable {
        case none, open
        case only([Entry])
    }

    /// Something that may be connected to.
    package enum Entry: Equatable, Sendable {
        case target(NetworkTarget)
        /// A name, looked up when a command starts; a port, or every port.
        case name(String, UInt16?)
        /// The proxy of `HTTPS_PROXY` and `HTTP_PROXY`: a host and a port.
        case proxy(String, UInt16)
    }

    package var policy: Policy
    package var listening: NetworkListening

    static let accepted =
        "none, proxy, open, or a list with commas: host:port, 192.0.2.1:443, 10.0.0.0/8:443, [2001:db8::1]:443, proxy;"
        + " the port may be *"

    /// The proxy, if there is one, and servers that only the job's commands reach.
    package init(proxy: Settings.Proxy) {
        let endpoints = proxy.endpoints.map { Entry.proxy($0.host, $0.port) }
        policy = endpoints.isEmpty ? .none : .only(endpoints)
        listening = .loopback(.random())
    }

    init(_ source: SettingsSource, proxy: Settings.Proxy) {
        self.init(proxy: proxy)
        switch source["AGENT_NETWORK_LISTEN"] ?? "loopback" {
        case "loopback": break
        case "none": listening = .none
        case let word:
            source.refuse(.setting("AGENT_NETWORK_LISTEN", "is \"\(word)\"", accepted: "loopback, none"))
        }
        guard let text = source["AGENT_NETWORK"] else { return }
        let endpoints = proxy.endpoints.map { Entry.proxy($0.host, $0.port) }
        if text == "none" || text == "open" {
            policy = text == "none" ? .none : .open
            return
        }
        var entries: [Entry] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            if part == "proxy" {
                if endpoints.isEmpty {
                    source.refuse(
                        .setting(
                            "AGENT_NETWORK",
                            "names the proxy, but neither HTTPS_PROXY nor HTTP_PROXY has one with a port",
                            accepted: Self.accepted))
                }
                entries += endpoints
            } else if let target = NetworkTarget(part) {
                entries.append(.target(target))
            } else if let (host, port) = NetworkTarget.split(part), Self.isName(host) {
                entries.append(.name(host, port))
            } else {
                source.refuse(.setting("AGENT_NETWORK", "has \"\(part)\"", accepted: Self.accepted))
            }
        }
        policy = .only(entries)
    }

    /// A name of DNS; an address that is none (127.1, 10.0.0.0/40) is no name either.
    private static func isName(_ host: String) -> Bool {
        let isMadeOfLabels = host.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"): true
            default: false
            }
        }
        return isMadeOfLabels && host.utf8.count < 254
            && host.split(separator: ".").last?.contains { !$0.isNumber } == true
    }

    /// Whether commands are to use the proxy.
    package var usesProxy: Bool {
        switch policy {
        case .none: false
        case .open: true
        case .only(let entries): entries.contains { if case .proxy = $0 { true } else { false } }
        }
    }

    /// Whether commands look up names themselves.
    package var looksUpNames: Bool {
        guard case .only(let entries) = policy else { return false }
        return entries.contains { if case .name = $0 { true } else { false } }
    }

    /// The policy with addresses for all names, as they are now. A name that cannot be looked up grants nothing.
    ///
    /// It may wait for DNS: at most as long as resolv.conf says (5 s for each server and try, by default).
    package func resolved() -> NetworkPolicy {
        var proxy = Settings.Proxy()
        return resolved(for: &proxy)
    }

    /// The same, and the proxy as commands are to be told of it: by an address that is granted, because they cannot look
    /// up its name.
    package func resolved(for proxy: inout Settings.Proxy) -> NetworkPolicy {
        switch policy {
        case .none: return .none
        case .open: return .open
        case .only(let entries):
            var targets: [NetworkTarget] = []
            for entry in entries {
                switch entry {
                case .target(let target): targets.append(target)
                case .name(let host, let port):
                    targets += Self.addresses(of: host).compactMap { NetworkTarget($0, port: port) }
                case .proxy(let host, let port):
                    let addresses = Self.addresses(of: host)
                    targets += addresses.compactMap { NetworkTarget($0, port: port) }
                    if let first = addresses.first { proxy.replace(host, by: first) }
                }
            }
            if looksUpNames { targets += Self.nameServers().compactMap { NetworkTarget($0, port: 53) } }
            return targets.isEmpty ? .none : .only(targets)
        }
    }

    private static func addresses(of host: String) -> [IPAddress] {
        if let address = IPAddress(host) { return [address] }
        var hints = addrinfo()
        // SOCK_STREAM, so that each address comes once.
        hints.ai_socktype = 1
        var first: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &first) == 0 else { return [] }
        defer { freeaddrinfo(first) }
        var result: [IPAddress] = []
        var next = first
        while let info = next?.pointee {
            next = info.ai_next
            guard let address = info.ai_addr else { continue }
            let bytes = UnsafeRawBufferPointer(start: address, count: Int(info.ai_addrlen))
            let range = info.ai_family == AF_INET ? 4..<8 : 8..<24
            guard range.upperBound <= bytes.count, let address = IPAddress(bytes: Array(bytes[range])) else { continue }
            result.append(address)
        }
        return result
    }

    /// What /etc/resolv.conf names (resolv.conf(5)).
    private static func nameServers() -> [IPAddress] {
        guard let bytes = try? readFile("/etc/resolv.conf", limit: 65536) else { return [] }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { line in
            let words = line.split { $0 == " " || $0 == "\t" }
            return words.count > 1 && words[0] == "nameserver" ? IPAddress(words[1]) : nil
        }
    }

    /// The policy in a few words, for the model.
    package var words: String {
        guard case .only(let entries) = policy else { return policy == .open ? "open" : "closed" }
        let parts = entries.map { entry in
            switch entry {
            case .target(let target): "\(target)"
            case .name(let host, let port): "\(host):\(port.map { "\($0)" } ?? "*")"
            case .proxy(let host, let port): "the proxy at \(host):\(port)"
            }
        }
        return "only " + parts.joined(separator: ", ")
    }
}
