/// Where snapshots go, how often they are made and how many are kept.
package struct SnapshotSettings: Sendable {
    package let store: ObjectStoreSettings
    /// How many are kept.
    package let keep: Int
    /// Milliseconds between two while the journal moves.
    package let interval: Int64
    package let proxy: Settings.Proxy
    /// Whether a human is asked when commands may have run after the snapshot that was restored.
    package let asksAfterRestore: Bool
    package let project: ProjectSnapshotSettings

    /// - Returns: nil if there are to be no snapshots.
    /// - Throws: `StartError(.configuration)`, also for a folder that commands can reach.
    package static func read(environment: [String: String]) throws(StartError) -> SnapshotSettings? {
        let source = try SettingsSource(environment: environment)
        _ = try Folders(source, job: try Settings.job(source))
        return try read(source)
    }

    static func read(_ source: SettingsSource) throws(StartError) -> SnapshotSettings? {
        let keep = try source.number("AGENT_SNAPSHOT_KEEP", 1...1000) ?? 5
        let minutes = try source.number("AGENT_SNAPSHOT_MINUTES", 1...1440) ?? 5
        let project = try ProjectSnapshotSettings.read(source)
        guard let store = try ObjectStoreSettings.read(source) else { return nil }
        return SnapshotSettings(
            store: store, keep: keep, interval: Int64(minutes) * 60000, proxy: Settings.Proxy(source),
            asksAfterRestore: try Settings.asksAfterRestore(source), project: project)
    }
}
