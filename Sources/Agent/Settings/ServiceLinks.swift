import Contracts

/// The variables that Kubernetes puts into each container for each Service of the namespace, unless `enableServiceLinks` is
/// false: for a Service `agent-proxy` AGENT_PROXY_SERVICE_HOST, AGENT_PROXY_PORT and more (kubernetes.io, "Service",
/// "Environment variables"). They begin as settings do, and are none.
enum ServiceLinks {
    private static let protocols = ["tcp", "udp", "sctp"]

    /// Whether name and value are those of such a variable. Each form has a value of its own, so that a misspelt setting
    /// does not pass for one.
    static func contains(_ name: String, _ value: String) -> Bool {
        // The Service's name is the first word at least.
        let words = name.split(separator: "_").map(String.init)
        guard words.count > 1 else { return false }
        let form = words.dropFirst()
        if form.suffix(2) == ["SERVICE", "HOST"] { return isAddress(value) }
        // …_SERVICE_PORT, and …_SERVICE_PORT_<name of the port>.
        if let index = form.lastIndex(of: "SERVICE"), form[(index + 1)...].first == "PORT", isPort(value) {
            return true
        }
        if let port = portForm(form) {
            switch form[port.end...].first {
            case nil: return isLink(value, port.transport, port.number)
            case "PROTO": return value == port.transport
            case "PORT": return value == port.number
            case "ADDR": return isAddress(value)
            default: return false
            }
        }
        return form.last == "PORT" && protocols.contains { isLink(value, $0, nil) }
    }

    /// …_PORT_<number>_<protocol>, with at most one word after it.
    private static func portForm(_ form: ArraySlice<String>) -> (number: String, transport: String, end: Int)? {
        for rest in [0, 1] where form.count >= 3 + rest {
            let words = form.dropLast(rest).suffix(3)
            let (port, number, transport) = (words[words.startIndex], words[words.startIndex + 1], words.last ?? "")
            guard port == "PORT", isPort(number), protocols.contains(transport.lowercased()) else { continue }
            return (number, transport.lowercased(), words.endIndex)
        }
        return nil
    }

    /// `tcp://10.0.0.1:80`, `tcp://[fd00::1]:80`; `port` nil is any.
    private static func isLink(_ value: String, _ transport: String, _ port: String?) -> Bool {
        guard value.hasPrefix(transport + "://") else { return false }
        let rest = value.dropFirst(transport.count + 3)
        guard let colon = rest.lastIndex(of: ":") else { return false }
        let number = String(rest[rest.index(after: colon)...])
        var host = rest[..<colon]
        if host.first == "[", host.last == "]" { host = host.dropFirst().dropLast() }
        return isPort(number) && number == port ?? number && isAddress(String(host))
    }

    private static func isAddress(_ value: String) -> Bool { IPAddress(value) != nil }

    private static func isPort(_ value: String) -> Bool { UInt16(value) != nil }
}
