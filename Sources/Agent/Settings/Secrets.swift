import Contracts
import Glibc
import LinuxSystem

/// The secrets of a job: files of one folder, never environment or arguments.
package struct Secrets: Sendable {
    /// File name to content, with the trailing newline cut off.
    private let values: [String: String]
    /// Files that are there with nothing in them.
    private let empty: Set<String>
    private let folder: String

    /// All values, for the redaction of the log.
    package var all: [String] { Array(values.values) }

    package subscript(name: String) -> String? { values[name] }

    /// Reads every regular file of the folder, each of at most 64 KiB.
    ///
    /// - Throws: `StartError(.notPermitted)` if the folder or a file cannot be read.
    package init(folder: String) throws(StartError) {
        self.folder = folder
        var values: [String: String] = [:]
        var empty: Set<String> = []
        do throws(SystemError) {
            // A Kubernetes volume has its files behind links (`..data`): names that begin with a dot are its own.
            for name in try namesInFolder(folder) where !name.hasPrefix(".") {
                let path = folder + "/" + name
                var status = stat()
                try retrying("stat", subject: path) { stat(path, &status) }
                guard status.st_mode & S_IFMT == S_IFREG else { continue }
                var text = String(decoding: try readFile(path, limit: 65536), as: UTF8.self)
                while text.last?.isNewline == true { text.removeLast() }
                if text.isEmpty { empty.insert(name) } else { values[name] = text }
            }
        } catch {
            throw StartError(
                .notPermitted,
                "AGENT_SECRETS_DIR: the secrets folder cannot be read (\(error)); mount a Secret at \(folder), readable "
                    + "for UID \(getuid()), or set AGENT_SECRETS_DIR")
        }
        self.values = values
        self.empty = empty
    }

    /// The API to use and its key. `environment`: where a key may have been put that should be in a file, for the error.
    ///
    /// - Throws: `StartError(.notPermitted)` if there is no key, `.configuration` if it cannot be told which to use.
    package func key(
        for settings: ModelSettings, environment: [String: String] = [:]
    ) throws(StartError) -> (ModelSettings.API, String) {
        let found = ModelSettings.API.allCases.compactMap { api in key(of: api).map { (api, $0) } }
        if let api = settings.api {
            guard let match = found.first(where: { $0.0 == api }) else {
                throw missing("there is no key for AGENT_PROVIDER \(api)", [api], environment)
            }
            return match
        }
        guard let first = found.first else {
            throw missing("there is no LLM key", ModelSettings.API.allCases, environment)
        }
        guard found.count == 1 else {
            throw StartError(
                .configuration,
                "the folder \(folder) has keys for anthropic and openai; set AGENT_PROVIDER to one of them")
        }
        return first
    }

    private func missing(
        _ problem: String, _ apis: [ModelSettings.API], _ environment: [String: String]
    ) -> StartError {
        let names = apis.flatMap(Self.names)
        if let name = names.first(where: empty.contains) {
            return StartError(.notPermitted, "\(problem): the file \(folder)/\(name) is empty; put the key into it")
        }
        let wanted = apis.map { Self.names($0)[0] }.joined(separator: " or ")
        if let name = names.first(where: { environment[$0]?.isEmpty == false }) {
            return StartError(
                .notPermitted,
                "\(problem): \(name) is in the environment, where every child process would have it; mount the Secret as files "
                    + "at \(folder) instead, the key as \(wanted)")
        }
        return StartError(
            .notPermitted, "\(problem): the folder \(folder) has no file \(wanted); mount a Secret there that has one")
    }

    private func key(of api: ModelSettings.API) -> String? {
        for name in Self.names(api) { if let value = values[name] { return value } }
        return nil
    }

    private static func names(_ api: ModelSettings.API) -> [String] {
        ["\(api)-api-key", "\(api)-api-key".uppercased().split(separator: "-").joined(separator: "_")]
    }
}
