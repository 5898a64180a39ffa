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
        let source = SettingsSource(environment: environment)
        _ = Folders(source, job: Settings.job(source))
        let settings = read(source)
        try source.check()
        return settings
    }

    static func read(_ source: SettingsSource) -> SnapshotSettings? {
        let keep = source.number("AGENT_SNAPSHOT_KEEP", 1...1000) ?? 5
        let minutes = source.number("AGENT_SNAPSHOT_MINUTES", 1...1440) ?? 5
        let project = source.take { () throws(StartError) in try ProjectSnapshotSettings.read(source) }
        let named = source.take { () throws(StartError) in try ObjectStoreSettings.read(source) } ?? nil
        guard let store = named, let project else { return nil }
        return SnapshotSettings(
            store: store, keep: keep, interval: Int64(minutes) * 60000, proxy: Settings.Proxy(source),
            asksAfterRestore: Settings.asksAfterRestore(source), project: project)
    }
}
