import Agent
import Providers
import Sinks
import Stores

extension Wiring {
    /// The libraries that agentd has found at its start, with their versions.
    static var libraries: [Finding] {
        [("libsqlite3", sqliteVersion), ("libcurl", curlVersion), ("libnats", natsVersion)].map { name, version in
            Finding("programs", name, .good, version)
        }
    }

    /// Opens, writes and removes a database in WAL mode in a folder; what went wrong, or nil.
    static func writeAhead(in folder: String) -> String? { tryWriteAheadLog(in: folder) }
}
