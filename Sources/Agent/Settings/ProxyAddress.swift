package import Contracts

extension Settings.Proxy {
    /// Host and port of each proxy, once. Without a port it is what its scheme says: 80, or 443 for https.
    package var endpoints: [(host: String, port: UInt16)] {
        var result: [(host: String, port: UInt16)] = []
        for url in [https, http] {
            guard let url, let endpoint = Self.endpoint(of: url) else { continue }
            if !result.contains(where: { $0 == endpoint }) { result.append(endpoint) }
        }
        return result
    }

    private static func endpoint(of url: String) -> (host: String, port: UInt16)? {
        let authority = authority(of: url)
        if let (host, named) = NetworkTarget.split(authority) { return named.map { (host, $0) } }
        let isBracketed = authority.hasPrefix("[") && authority.hasSuffix("]")
        let host = isBracketed ? authority.dropFirst().dropLast() : authority
        if host.isEmpty || !isBracketed && host.contains(":") { return nil }
        return (String(host), url.hasPrefix("https://") ? 443 : 80)
    }

    /// Host and port of a URL as they stand there, without scheme, user and path.
    private static func authority(of url: String) -> Substring {
        var rest = url[...]
        if let slashes = rest.firstIndex(of: "/"), rest[slashes...].hasPrefix("//") {
            rest = rest[slashes...].dropFirst(2)
        }
        rest = rest.prefix { $0 != "/" }
        if let at = rest.lastIndex(of: "@") { rest = rest[rest.index(after: at)...] }
        return rest
    }

    /// Puts an address in the place of the name `host`, in each of the two URLs that has it.
    ///
    /// A proxy that is spoken to by TLS keeps its name, which its certificate has; and so does localhost, which needs no
    /// name server and may be meant in one family only.
    package mutating func replace(_ host: String, by address: IPAddress) {
        for url in [\Settings.Proxy.http, \Settings.Proxy.https] {
            guard let text = self[keyPath: url], Self.endpoint(of: text)?.host == host else { continue }
            let authority = Self.authority(of: text)
            guard authority.hasPrefix(host), host != "localhost", !text.hasPrefix("https://") else { continue }
            let numeric = address.isV4 ? "\(address)" : "[\(address)]"
            self[keyPath: url] =
                text[..<authority.startIndex] + numeric + authority.dropFirst(host.count)
                + text[authority.endIndex...]
        }
    }
}
