import LinuxSystem

/// Where snapshots go: `AGENT_SNAPSHOT_URL`, `AGENT_S3_ENDPOINT` and `AGENT_S3_REGION`.
package enum ObjectStoreSettings: Equatable, Sendable {
    /// A folder, absolute and canonical.
    case folder(String)
    case bucket(Bucket)

    /// A bucket behind the S3 API.
    package struct Bucket: Equatable, Sendable {
        package let name: String
        /// What stands before each key, without a slash at either end; empty is none.
        package let prefix: String
        /// `http://host:port` or `https://host:port`; nil is AWS, by the region.
        package let endpoint: String?
        package let region: String

        package init(name: String, prefix: String, endpoint: String?, region: String) {
            self.name = name
            self.prefix = prefix
            self.endpoint = endpoint
            self.region = region
        }
    }

    private static let form = "s3://BUCKET/PREFIX (the prefix of A-Z a-z 0-9 - _ . /) or file:///ABSOLUTE/PATH"

    /// For a look from outside a job's loop, as `restore` has it: no task is needed.
    ///
    /// - Throws: `StartError(.configuration)`, also for a folder that commands can reach.
    package static func read(environment: [String: String]) throws(StartError) -> ObjectStoreSettings? {
        let source = SettingsSource(environment: environment)
        _ = Folders(source, job: Settings.job(source))
        let settings = source.take { () throws(StartError) in try read(source) } ?? nil
        try source.check()
        return settings
    }

    /// - Returns: nil if there are to be no snapshots.
    static func read(_ source: SettingsSource) throws(StartError) -> ObjectStoreSettings? {
        let endpoint = try endpoint(source)
        let region = source["AGENT_S3_REGION"] ?? "us-east-1"
        guard region.utf8.count <= 64, isMade(region, of: "-") else {
            throw .setting("AGENT_S3_REGION", "is \"\(region)\"", accepted: "a region's name, as us-east-1")
        }
        if let folder = try folder(source) { return .folder(folder) }
        guard let url = source["AGENT_SNAPSHOT_URL"] else { return nil }
        let rest = url.dropFirst("s3://".count)
        guard url.hasPrefix("s3://"), let name = rest.split(separator: "/", omittingEmptySubsequences: false).first
        else { throw refusal(url) }
        // The rule of S3 itself for names of buckets.
        guard (3...63).contains(name.utf8.count), isMade(name, of: ".-"), name == name.lowercased(),
            name.first?.isPunctuation == false, name.last?.isPunctuation == false, !name.contains("..")
        else { throw refusal(url) }
        let segments = rest.dropFirst(name.count).split(separator: "/")
        let prefix = segments.joined(separator: "/")
        guard prefix.utf8.count <= 256, isMade(prefix, of: "-_./"),
            !segments.contains(where: { $0 == "." || $0 == ".." })
        else { throw refusal(url) }
        return .bucket(Bucket(name: String(name), prefix: prefix, endpoint: endpoint, region: region))
    }

    /// The folder that `AGENT_SNAPSHOT_URL` names, if it names one.
    static func folder(_ source: SettingsSource) throws(StartError) -> String? {
        guard let url = source["AGENT_SNAPSHOT_URL"], !url.hasPrefix("s3://") else { return nil }
        let path = String(url.dropFirst("file://".count))
        // What would have to be percent-decoded is not: the path is taken as it stands.
        guard url.hasPrefix("file:///"), path != "/", !path.contains("%"),
            path.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
        else { throw refusal(url) }
        return canonicalPath(path)
    }

    private static func endpoint(_ source: SettingsSource) throws(StartError) -> String? {
        guard let text = source["AGENT_S3_ENDPOINT"] else { return nil }
        let refusal = StartError.setting(
            "AGENT_S3_ENDPOINT", "is not an endpoint",
            accepted: "http://HOST:PORT or https://HOST:PORT, without a user, a path or a query")
        guard let scheme = ["https://", "http://"].first(where: text.hasPrefix) else { throw refusal }
        var authority = String(text.dropFirst(scheme.count))
        if authority.hasSuffix("/") { authority.removeLast() }
        var host = Substring(authority)
        if let colon = authority.lastIndex(of: ":"), !authority.hasSuffix("]") {
            guard let port = UInt16(authority[authority.index(after: colon)...]), port > 0 else { throw refusal }
            host = authority[..<colon]
        }
        let isIPv6 = host.hasPrefix("[") && host.hasSuffix("]")
        let name = isIPv6 ? host.dropFirst().dropLast() : host
        guard !name.isEmpty, isMade(name, of: isIPv6 ? ":." : ".-_") else { throw refusal }
        return scheme + authority.lowercased()
    }

    private static func isMade(_ text: some StringProtocol, of others: String) -> Bool {
        text.unicodeScalars.allSatisfy {
            switch $0 {
            case "A"..."Z", "a"..."z", "0"..."9": true
            default: others.unicodeScalars.contains($0)
            }
        }
    }

    private static func refusal(_ url: String) -> StartError {
        .setting("AGENT_SNAPSHOT_URL", "is \"\(url)\"", accepted: form)
    }
}
