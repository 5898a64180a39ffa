/// What a command finds in its environment: an allow-list, nothing of ours but what the configuration names.
package struct CommandEnvironment: Equatable, Sendable {
    /// What is added, or stands in the place of what would be there: the configuration's, then the caller's.
    package private(set) var additions: [String: String] = [:]

    package init() {}

    /// Sets a variable; a later one of the same name wins.
    package mutating func set(_ name: String, _ value: String) { additions[name] = value }

    /// All of it, as `NAME=value`, each name once.
    package func entries(folders: Folders, proxy: Settings.Proxy, network: NetworkSettings) -> [String] {
        var variables = [
            ("PATH", "\(folders.home)/.local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("HOME", folders.home), ("USER", "agent"), ("LOGNAME", "agent"), ("SHELL", "/bin/bash"),
            ("LANG", "C.UTF-8"), ("TERM", "dumb"), ("PYTHONUSERBASE", "\(folders.home)/.local"),
            ("TMPDIR", folders.temporary), ("PAGER", "cat"), ("GIT_PAGER", "cat"), ("GIT_TERMINAL_PROMPT", "0"),
        ]
        for (name, value) in [("HTTP_PROXY", proxy.http), ("HTTPS_PROXY", proxy.https), ("NO_PROXY", proxy.exceptions)]
        where network.usesProxy {
            guard let value else { continue }
            variables += [(name, value), (name.lowercased(), value)]
        }
        // Commands have no UDP: glibc is to ask name servers by TCP (resolv.conf(5)).
        if network.looksUpNames { variables.append(("RES_OPTIONS", "use-vc")) }
        let standard = Set(variables.map(\.0))
        return variables.map { name, value in "\(name)=\(additions[name] ?? value)" }
            + additions.filter { !standard.contains($0.key) }.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    }

    /// Whether this can be the name of a variable: letters, digits and `_`, no digit first (environ(7)).
    package static func isName(_ text: some StringProtocol) -> Bool {
        guard let first = text.utf8.first, !("0"..."9").contains(Character(UnicodeScalar(first))) else { return false }
        return text.utf8.allSatisfy { byte in
            let scalar = UnicodeScalar(byte)
            return scalar.isASCII && (scalar == "_" || scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
        }
    }
}
