import Contracts
import LinuxSystem

/// What a command finds in its environment: an allow-list, nothing of ours but what the configuration names.
package struct CommandEnvironment: Equatable, Sendable {
    /// What is added, or stands in the place of what would be there: the configuration's, then the caller's.
    package private(set) var additions: [String: String] = [:]

    package init() {}

    /// Sets a variable; a later one of the same name wins.
    package mutating func set(_ name: String, _ value: String) { additions[name] = value }

    /// The image's folders of programs, in Debian's order.
    static let systemPath = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]

    /// All of it, as `NAME=value`, each name once.
    package func entries(folders: Folders, proxy: Settings.Proxy, network: NetworkSettings) -> [String] {
        merged(
            [
                // The home's last: what a command has put there does not pass for a program of the image.
                ("PATH", (Self.systemPath + [folders.home + "/.local/bin"]).joined(separator: ":")),
                ("HOME", folders.home), ("TMPDIR", folders.temporary), ("PYTHONUSERBASE", folders.home + "/.local"),
            ] + Self.common + Self.network(proxy, network), additions)
    }

    /// That of a program whose verdict counts: nothing in it leads to what an earlier command can have written.
    func entries(in room: VerdictRoom, folders: Folders, proxy: Settings.Proxy, network: NetworkSettings) -> [String] {
        let writable = [folders.project, folders.home, folders.temporary, JailGrants.sharedMemory]
        func isWritable(_ path: Substring) -> Bool {
            !path.hasPrefix("/") || writable.contains { isPath(canonicalPath(String(path)), inside: $0) }
        }
        var added = additions
        for (name, value) in additions {
            let parts = value.split(separator: ":", omittingEmptySubsequences: false)
            if name == "PATH" {
                let kept = parts.filter { !isWritable($0) }
                added[name] = kept.isEmpty ? nil : kept.joined(separator: ":")
            } else if parts.contains(where: { $0.hasPrefix("/") && isWritable($0) }) {
                added[name] = nil
            }
        }
        return merged(
            [
                ("PATH", Self.systemPath.joined(separator: ":")), ("HOME", room.home), ("TMPDIR", room.temporary),
                ("PYTHONNOUSERSITE", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null"),
                // The tree's own .git/config can name a program that says what has changed (git-config(1)).
                ("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "core.fsmonitor"), ("GIT_CONFIG_VALUE_0", "false"),
            ] + Self.common + Self.network(proxy, network), added)
    }

    private static let common = [
        ("USER", "agent"), ("LOGNAME", "agent"), ("SHELL", "/bin/bash"), ("LANG", "C.UTF-8"), ("TERM", "dumb"),
        ("PAGER", "cat"), ("GIT_PAGER", "cat"), ("GIT_TERMINAL_PROMPT", "0"),
    ]

    private static func network(_ proxy: Settings.Proxy, _ network: NetworkSettings) -> [(String, String)] {
        var variables: [(String, String)] = []
        for (name, value) in [("HTTP_PROXY", proxy.http), ("HTTPS_PROXY", proxy.https), ("NO_PROXY", proxy.exceptions)]
        where network.usesProxy {
            guard let value else { continue }
            variables += [(name, value), (name.lowercased(), value)]
        }
        // node's own clients use a proxy only if they are told to (nodejs.org, "NODE_USE_ENV_PROXY", since 22.21 and 24.5).
        if network.usesProxy, proxy.http ?? proxy.https != nil { variables.append(("NODE_USE_ENV_PROXY", "1")) }
        return variables
    }

    private func merged(_ variables: [(String, String)], _ additions: [String: String]) -> [String] {
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
