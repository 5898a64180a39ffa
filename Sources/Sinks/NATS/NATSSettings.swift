/// How a job is connected to NATS.
package struct NATSSettings: Sendable {
    package enum Credentials: Equatable, Sendable {
        case none
        /// The path of a `.creds` file, read anew at each connection, so that it can be rotated.
        case file(String)
        case token(String)
        case user(String, password: String)
    }

    /// `nats://` or `tls://`, one or several with commas between them.
    package var url: String
    package var credentials: Credentials
    /// The credentials as they are now, asked before each connection; nil if they cannot be read: the last ones are used.
    package var currentCredentials: @Sendable () -> Credentials? = { nil }
    package var job: String
    /// Whether streams that are missing are made.
    package var createsStreams: Bool

    package init(url: String, credentials: Credentials = .none, job: String, createsStreams: Bool = false) {
        self.url = url
        self.credentials = credentials
        self.job = job
        self.createsStreams = createsStreams
    }

    var logs: String { "logs.agent.\(job)" }
    var events: String { "events.agent.\(job)" }
    var commands: String { "cmd.agent.\(job)" }
}
