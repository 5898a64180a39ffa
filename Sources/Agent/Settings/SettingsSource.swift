import Contracts
import Events
import LinuxSystem

/// The settings as text: the environment, and beneath it the JSON file that `AGENT_CONFIG` names.
///
/// Every name that begins with `AGENT_` must be known: a misspelt setting that was passed over would be a silent
/// default. The environment wins over the file.
struct SettingsSource {
    private var values: [String: String] = [:]

    static let known: Set<String> = [
        "AGENT_COMMAND_ENV",
        "JOB_ID", "WORKSPACE_PATH", "NATS_URL", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
        "AGENT_CONFIG", "AGENT_TASK", "AGENT_TASK_FILE", "AGENT_BASE_URL", "AGENT_PROVIDER", "AGENT_MODEL",
        "AGENT_MAX_OUTPUT_TOKENS", "AGENT_SECRETS_DIR", "AGENT_CHECKPOINT_DIR", "AGENT_PROJECT_DIR", "AGENT_HOME",
        "AGENT_TMP", "AGENT_LISTEN", "AGENT_LOG_FORMAT", "AGENT_LOG_FILE", "AGENT_TERMINATION_LOG",
        "AGENT_GRACE_SECONDS", "AGENT_WATCHDOG_SECONDS", "AGENT_MAX_STEPS", "AGENT_CONTEXT_TOKENS", "AGENT_MAX_TOKENS",
        "AGENT_MAX_COST_USD", "AGENT_MAX_WALL_SECONDS", "AGENT_PHASE_MAX_STEPS", "AGENT_PRICE_INPUT_PER_MTOK",
        "AGENT_PRICE_OUTPUT_PER_MTOK", "AGENT_COMMAND_TIMEOUT_SECONDS", "AGENT_ACCEPTANCE",
        "AGENT_LLM_OUTAGE_SECONDS", "AGENT_INPUT_WAIT_SECONDS",
        "AGENT_AFTER_RESTORE", "AGENT_NATS_CREATE_STREAMS", "AGENT_NETWORK", "AGENT_NETWORK_LISTEN",
        "AGENT_SPOOL_MAX_BYTES", "AGENT_COMMAND_MEMORY_PERCENT", "AGENT_COMMAND_MEMORY_MIB", "AGENT_DISK_RESERVE_MIB",
        "AGENT_BACKGROUND_TIMEOUT_SECONDS",
        "AGENT_SNAPSHOT_URL", "AGENT_SNAPSHOT_KEEP", "AGENT_SNAPSHOT_MINUTES", "AGENT_S3_ENDPOINT", "AGENT_S3_REGION",
        "AGENT_SNAPSHOT_PROJECT", "AGENT_SNAPSHOT_EXCLUDE",
    ]

    /// Read by PID 1, which parses no JSON, or before the file.
    private static let environmentOnly: Set<String> = [
        "AGENT_CONFIG", "AGENT_GRACE_SECONDS", "AGENT_WATCHDOG_SECONDS", "AGENT_TERMINATION_LOG",
    ]

    init(environment: [String: String]) throws(StartError) {
        for (name, value) in environment where !value.isEmpty {
            if Self.known.contains(name) {
                values[name] = value
            } else if name.hasPrefix("AGENT_") {
                throw Self.unknown(name, place: "the environment")
            }
        }
        // curl and most tools take the lowercase names too; the uppercase ones win.
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"] where values[name] == nil {
            if let value = environment[name.lowercased()], !value.isEmpty { values[name] = value }
        }
        guard let path = values["AGENT_CONFIG"] else { return }
        for (name, value) in try Self.file(path) where values[name] == nil { values[name] = value }
    }

    subscript(name: String) -> String? { values[name] }

    private static func unknown(_ name: String, place: String) -> StartError {
        let near = known.filter { $0.hasPrefix("AGENT_") }.min { distance($0, name) < distance($1, name) } ?? ""
        return StartError(
            .configuration,
            "\(name) in \(place) is not a setting; did you mean \(near)? The README lists all settings.")
    }

    private static func file(_ path: String) throws(StartError) -> [String: String] {
        let json: JSON
        do {
            json = try JSON(parsing: try readFile(path, limit: 1 << 20))
        } catch {
            throw .setting("AGENT_CONFIG", "\(path): \(error)", accepted: "a readable JSON file of at most 1 MiB")
        }
        guard let members = json.object else {
            throw .setting("AGENT_CONFIG", "\(path) is not an object", accepted: "{\"AGENT_…\": \"value\", …}")
        }
        var result: [String: String] = [:]
        for (name, value) in members {
            guard known.contains(name) else { throw unknown(name, place: path) }
            guard !environmentOnly.contains(name) else {
                throw .setting(name, "stands in \(path)", accepted: "this setting in the environment only")
            }
            switch value {
            case .string(let text): result[name] = text
            case .int, .double, .bool: result[name] = value.text
            default:
                throw .setting(name, "in \(path) is \(value.text)", accepted: "a string, a number, true or false")
            }
        }
        return result
    }

    /// Levenshtein's distance, for a hint in an error.
    private static func distance(_ left: String, _ right: String) -> Int {
        let right = Array(right)
        var row = Array(0...right.count)
        for (index, character) in left.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for column in right.indices {
                let above = row[column + 1]
                row[column + 1] = min(above + 1, row[column] + 1, diagonal + (character == right[column] ? 0 : 1))
                diagonal = above
            }
        }
        return row[right.count]
    }
}
