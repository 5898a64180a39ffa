package import Agent
package import Contracts
import Glibc
import LinuxSystem

/// `agentd gateway`: everything of a job that talks outward.
package struct Gateway {
    private let configuration: GatewayConfiguration
    private let journal: any JournalReader
    private let sinks: [SinkPlan]
    private let commands: CommandPlan?

    /// What is left to be delivered when the loop has ended, and when SIGTERM has come, in milliseconds.
    private static let patienceAfterLoop: Int64 = 5000
    private static let patienceAfterSignal: Int64 = 20_000

    package init(
        configuration: GatewayConfiguration, journal: any JournalReader, sinks: [SinkPlan], commands: CommandPlan?
    ) {
        self.configuration = configuration
        self.journal = journal
        self.sinks = sinks
        self.commands = commands
    }

    /// Runs until the loop has ended, or SIGTERM or SIGINT has come, and all was delivered or the time is over.
    ///
    /// To be called on the main thread before any other thread is started: the signals are blocked here.
    /// - Returns: `completed`, whatever has become of the job: its exit code is the loop's.
    /// - Throws: `GatewayError`: `configuration` for a folder, an address or a sink that cannot be used.
    package func run() throws(GatewayError) -> ExitCode {
        // A reader that has gone is an error of the write, not a signal; nats.c wants it so as well.
        signal(SIGPIPE, SIG_IGN)
        let signals: SignalDescriptor
        do throws(SystemError) {
            signals = try SignalDescriptor([SIGTERM, SIGINT])
        } catch {
            throw GatewayError(.internalError, "the gateway cannot start: \(error)")
        }
        let health = Health()
        let probes = try configuration.listen.map { address throws(GatewayError) in
            try ProbeServer(listen: address, health: health)
        }
        defer { probes?.stop() }
        let pipeline = try Pipeline(
            configuration, journal: journal, sinks: sinks, commands: commands, health: health)
        var end = Deadline.never
        let hasSources = !pipeline.sourcesHaveEnded
        while !end.hasPassed {
            if signals.next() != nil, end == .never {
                health.stops()
                end = .after(milliseconds: Self.patienceAfterSignal)
            }
            // By hand there are no pipes that could end; then a signal does.
            if pipeline.sourcesHaveEnded, hasSources || end != .never { break }
            try pipeline.round(until: end, also: signals.number)
        }
        let left = try pipeline.finish(by: end.sooner(.after(milliseconds: Self.patienceAfterLoop)))
        for line in left { complain(line) }
        return .completed
    }
}
