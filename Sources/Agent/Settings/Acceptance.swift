import LinuxSystem

/// What must exit with 0 before a job counts as completed: `AGENT_ACCEPTANCE` or `AGENT_ACCEPTANCE_FILE`.
package enum Acceptance: Equatable, Sendable {
    /// A shell command.
    case command(String)
    /// A script, read at the start: what lies at `path` later changes nothing.
    case script(path: String, text: [UInt8])

    private static let limit = 1 << 20

    /// Reads it where it is; nil if there is none.
    ///
    /// - Throws: `StartError(.configuration)` with the setting's name; also for a script that commands could write.
    package static func read(_ settings: Settings) throws(StartError) -> Acceptance? {
        if let command = settings.acceptance { return .command(command) }
        guard let path = settings.acceptanceFile else { return nil }
        let setting = "AGENT_ACCEPTANCE_FILE"
        if let place = settings.folders.writable(canonicalPath(path)) {
            throw .setting(
                setting, "\(path) lies in \(place), which commands can write",
                accepted: "a file outside of it, as a ConfigMap's")
        }
        let text: [UInt8]
        do throws(SystemError) {
            text = try readFile(path, limit: limit)
        } catch {
            throw .setting(setting, "cannot be read (\(error))", accepted: "a script of at most 1 MiB")
        }
        guard text.contains(where: { $0 > UInt8(ascii: " ") }) else {
            throw .setting(setting, "\(path) is empty", accepted: "a script of at most 1 MiB")
        }
        return .script(path: path, text: text)
    }
}
