package import Agent
import Contracts
import HTTP

/// Where requests go.
package struct Endpoint: Equatable, Sendable {
    package let url: String
    /// Lowercase, without the port.
    package let host: String
    /// What comes before `path` in `url`, and what comes after it.
    private let trunk: String
    private let query: String

    /// Completes a base URL.
    ///
    /// `https://host`, `https://host/`, `https://host/v1` and the full address all give the same. For servers that
    /// have their version elsewhere in the path (`/v1beta/openai`, `/api/paas/v4`) nothing is put in between.
    ///
    /// - Parameters:
    ///   - base: the setting.
    ///   - path: what comes after the version: `messages`, `chat/completions`.
    ///   - versionAnywhere: false if the version is always the last part before `path`.
    /// - Throws: `StartError(.configuration)`, which names `AGENT_BASE_URL`.
    package init(base: String, path: String, versionAnywhere: Bool) throws(StartError) {
        func refused(_ problem: String) -> StartError {
            StartError(
                .configuration,
                "AGENT_BASE_URL \(problem); accepted: http:// or https://, a host, and perhaps a port and a path")
        }
        guard isHeaderSafe(base), !base.contains(" ") else {
            throw refused("contains white space or control characters")
        }
        guard let scheme = ["https://", "http://"].first(where: base.lowercased().hasPrefix) else {
            throw refused("has no http:// or https://")
        }
        let rest = base.dropFirst(scheme.count)
        guard !rest.contains("#") else { throw refused("has a fragment (#)") }
        let question = rest.firstIndex(of: "?") ?? rest.endIndex
        var parts = rest[..<question].split(separator: "/").map(String.init)
        guard !rest.hasPrefix("/"), let authority = parts.first else { throw refused("has no host") }
        // It would come into logs and errors.
        guard !authority.contains("@") else { throw refused("contains a user or a password") }
        parts.removeFirst()
        let ending = path.split(separator: "/").map(String.init)
        if parts.suffix(ending.count) == ending[...] {
            parts.removeLast(ending.count)
        } else {
            let versioned =
                versionAnywhere ? parts.contains(where: Self.isVersion) : parts.last.map(Self.isVersion) ?? false
            if !versioned { parts.append("v1") }
        }
        trunk = scheme + ([authority] + parts).joined(separator: "/")
        query = String(rest[question...])
        url = "\(trunk)/\(path)\(query)"
        // An IPv6 address keeps its brackets and colons.
        let colon = authority.hasSuffix("]") ? nil : authority.lastIndex(of: ":")
        host = authority[..<(colon ?? authority.endIndex)].lowercased()
    }

    /// The address of another path of the same API.
    package func beside(_ path: String) -> String { "\(trunk)/\(path)\(query)" }

    /// `v1`, `v1beta`, `v4`.
    private static func isVersion(_ part: String) -> Bool {
        part.first == "v" && part.dropFirst().first?.isNumber == true
    }
}
