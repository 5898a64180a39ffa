import Contracts
import Events
import LinuxSystem

/// The settings as text: the environment, and beneath it the JSON file that `AGENT_CONFIG` names.
///
/// Every name that begins with `AGENT_` must be known: a misspelt setting that was passed over would be a silent
/// default. The environment wins over the file.
///
/// What is wrong is kept while the settings are read, so that whoever has to mend it is told all of it at once: `check` is
/// to be called when all are read. What was returned in the place of a wrong value is not to be used.
final class SettingsSource {
    private var values: [String: String] = [:]
    /// What is wrong, each once, in the order in which it was found.
    private var problems: [StartError] = []

    /// Problems that are told; more than these are counted.
    private static let most = 20

    static let known: Set<String> = [
        "AGENT_COMMAND_ENV", "AGENT_COMMAND_FOLDERS",
        "JOB_ID", "WORKSPACE_PATH", "NATS_URL", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
        "AGENT_CONFIG", "AGENT_TASK", "AGENT_TASK_FILE", "AGENT_BASE_URL", "AGENT_PROVIDER", "AGENT_MODEL",
        "AGENT_MAX_OUTPUT_TOKENS", "AGENT_SECRETS_DIR", "AGENT_CHECKPOINT_DIR", "AGENT_PROJECT_DIR", "AGENT_HOME",
        "AGENT_TMP", "AGENT_LISTEN", "AGENT_LOG_FORMAT", "AGENT_LOG_FILE", "AGENT_TERMINATION_LOG",
        "AGENT_GRACE_SECONDS", "AGENT_WATCHDOG_SECONDS", "AGENT_MAX_STEPS", "AGENT_CONTEXT_TOKENS", "AGENT_MAX_TOKENS",
        "AGENT_MAX_COST_USD", "AGENT_MAX_WALL_SECONDS", "AGENT_PHASE_MAX_STEPS", "AGENT_PRICE_INPUT_PER_MTOK",
        "AGENT_PRICE_OUTPUT_PER_MTOK", "AGENT_COMMAND_TIMEOUT_SECONDS", "AGENT_ACCEPTANCE",
        "AGENT_ACCEPTANCE_FILE", "AGENT_PRICE_CACHE_READ_PER_MTOK", "AGENT_PRICE_CACHE_WRITE_PER_MTOK",
        "AGENT_LLM_OUTAGE_SECONDS", "AGENT_INPUT_WAIT_SECONDS",
        "AGENT_AFTER_RESTORE", "AGENT_NATS_CREATE_STREAMS", "AGENT_NETWORK", "AGENT_NETWORK_LISTEN",
        "AGENT_SPOOL_MAX_BYTES", "AGENT_COMMAND_MEMORY_PERCENT", "AGENT_COMMAND_MEMORY_MIB", "AGENT_DISK_RESERVE_MIB",
        "AGENT_BACKGROUND_TIMEOUT_SECONDS", "AGENT_OUTPUT_BUDGET_MIB",
        "AGENT_SNAPSHOT_URL", "AGENT_SNAPSHOT_KEEP", "AGENT_SNAPSHOT_MINUTES", "AGENT_S3_ENDPOINT", "AGENT_S3_REGION",
        "AGENT_SNAPSHOT_PROJECT", "AGENT_SNAPSHOT_EXCLUDE",
    ]

    /// Read by PID 1, which parses no JSON, or before the file.
    private static let environmentOnly: Set<String> = [
        "AGENT_CONFIG", "AGENT_GRACE_SECONDS", "AGENT_WATCHDOG_SECONDS", "AGENT_TERMINATION_LOG",
    ]

    init(environment: [String: String]) {
        for (name, value) in environment.sorted(by: { $0.key < $1.key }) where !value.isEmpty {
            if Self.known.contains(name) {
                values[name] = value
            } else if name.hasPrefix("AGENT_"), !ServiceLinks.contains(name, value) {
                refuse(Self.unknown(name, place: "the environment"))
            }
        }
        // curl and most tools take the lowercase names too; the uppercase ones win.
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"] where values[name] == nil {
            if let value = environment[name.lowercased()], !value.isEmpty { values[name] = value }
        }
        guard let path = values["AGENT_CONFIG"] else { return }
        for (name, value) in file(path) where values[name] == nil { values[name] = value }
    }

    subscript(name: String) -> String? { values[name] }

    /// Keeps what is wrong with a setting.
    func refuse(_ problem: StartError) {
        if !problems.contains(problem) { problems.append(problem) }
    }

    /// What `body` reads; nil if it cannot be read, which is kept.
    func take<Value>(_ body: () throws(StartError) -> Value) -> Value? {
        do throws(StartError) {
            return try body()
        } catch {
            refuse(error)
            return nil
        }
    }

    /// To be called when all settings are read.
    ///
    /// - Throws: `StartError(.configuration)` with everything that is wrong.
    func check() throws(StartError) {
        guard let first = problems.first else { return }
        guard problems.count > 1 else { throw first }
        let told = problems.prefix(Self.most).enumerated().map { "(\($0.offset + 1)) \($0.element)" }
        let left = problems.count - told.count
        throw StartError(
            .configuration,
            "\(problems.count) settings are wrong: " + told.joined(separator: " ")
                + (left > 0 ? " … and \(left) more" : ""))
    }

    private static func unknown(_ name: String, place: String) -> StartError {
        let near = known.filter { $0.hasPrefix("AGENT_") }.min { distance($0, name) < distance($1, name) } ?? ""
        return StartError(
            .configuration,
            "\(name) in \(place) is not a setting; did you mean \(near)? The README lists all settings.")
    }

    private func file(_ path: String) -> [String: String] {
        let json: JSON
        do {
            json = try JSON(parsing: try readFile(path, limit: 1 << 20))
        } catch {
            refuse(.setting("AGENT_CONFIG", "\(path): \(error)", accepted: "a readable JSON file of at most 1 MiB"))
            return [:]
        }
        guard let members = json.object else {
            refuse(.setting("AGENT_CONFIG", "\(path) is not an object", accepted: "{\"AGENT_…\": \"value\", …}"))
            return [:]
        }
        var result: [String: String] = [:]
        for (name, value) in members.sorted(by: { $0.key < $1.key }) {
            guard Self.known.contains(name) else {
                refuse(Self.unknown(name, place: path))
                continue
            }
            guard !Self.environmentOnly.contains(name) else {
                refuse(.setting(name, "stands in \(path)", accepted: "this setting in the environment only"))
                continue
            }
            switch value {
            case .string(let text): result[name] = text
            case .int, .double, .bool: result[name] = value.text
            default:
                refuse(.setting(name, "in \(path) is \(value.text)", accepted: "a string, a number, true or false"))
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
