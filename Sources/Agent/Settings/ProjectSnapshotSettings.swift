/// When the project tree is archived with a snapshot, and what of it is left out.
package struct ProjectSnapshotSettings: Equatable, Sendable {
    package enum Occasion: String, Sendable {
        /// At the job's end, whatever its outcome.
        case completion
        /// With every snapshot.
        case always
        case never
    }

    package let occasion: Occasion
    /// A name is left out wherever it stands, a path (with a slash) where it leads to from the project.
    package let excludes: [String]

    package init(occasion: Occasion = .completion, excludes: [String] = Self.standardExcludes) {
        self.occasion = occasion
        self.excludes = excludes
    }

    /// What can be made again from what is archived.
    package static let standardExcludes = ["node_modules", ".venv", "__pycache__"]

    static func read(_ source: SettingsSource) throws(StartError) -> ProjectSnapshotSettings {
        let word = source["AGENT_SNAPSHOT_PROJECT"] ?? Occasion.completion.rawValue
        guard let occasion = Occasion(rawValue: word) else {
            throw .setting("AGENT_SNAPSHOT_PROJECT", "is \"\(word)\"", accepted: "completion, always or never")
        }
        guard let list = source["AGENT_SNAPSHOT_EXCLUDE"] else { return ProjectSnapshotSettings(occasion: occasion) }
        if list == "none" { return ProjectSnapshotSettings(occasion: occasion, excludes: []) }
        let excludes = list.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        for exclude in excludes {
            let parts = exclude.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }), excludes.count <= 100 else {
                throw .setting(
                    "AGENT_SNAPSHOT_EXCLUDE", "is \"\(list)\"",
                    accepted: "none, or at most 100 names (left out everywhere) or paths from the project folder, with "
                        + "commas, as node_modules,build/cache")
            }
        }
        return ProjectSnapshotSettings(occasion: occasion, excludes: excludes)
    }
}
