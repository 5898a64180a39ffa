/// All that the gateway is told at its start. Sinks and the source of commands are given beside it, for they are
/// wired where concrete types may be named.
package struct GatewayConfiguration: Sendable {
    package var job: String
    /// The spool's file; its folder must exist.
    package var spoolPath: String
    /// The folder in which PID 1 keeps last-gasp records; nil: there are none.
    package var gasps: String?
    /// The most that the spool keeps, in bytes (`AGENT_SPOOL_MAX_BYTES`).
    package var spoolLimit: Int64 = 1 << 28
    /// `host:port` of the probes; nil: off (`AGENT_LISTEN`).
    package var listen: String?
    /// Values that must not leave the process, and the folder in which they may be exchanged for others; nil: they stay.
    package var secrets: [String] = []
    package var secretsFolder: String?

    /// The pipes of the descriptor contract; nil where there is none.
    package var status: Int32?
    package var commands: Int32?
    package var live: Int32?
    package var loopStandardOutput: Int32?
    package var loopStandardError: Int32?

    package init(job: String, spoolPath: String) {
        self.job = job
        self.spoolPath = spoolPath
    }
}
