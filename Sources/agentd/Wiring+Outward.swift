import Agent
import Contracts
import Events
import Gateway
import LinuxSystem
import Sinks

/// Where the log of a job goes and where its commands come from.
struct Outward {
    let settings: Settings
    let secrets: Secrets
    let environment: [String: String]

    /// One for each place: to add a sink, add it here.
    ///
    /// - Throws: `StartError`, as `commands`.
    func sinks() throws(StartError) -> [SinkPlan] {
        var plans = [standardOutput]
        if let path = settings.delivery.logFile {
            plans.append(
                SinkPlan("file") { [job = settings.job.text] _ throws(SinkError) in
                    try LogFileSink(path: path, job: job)
                })
        }
        if let nats = try nats() {
            plans.append(SinkPlan("nats") { spool throws(SinkError) in NATSSink(nats, spool: spool) })
        }
        return plans
    }

    private var standardOutput: SinkPlan {
        let style = TerminalStyle(descriptor: 1, environment: environment)
        let isText =
            switch settings.delivery.format {
            case .text: true
            case .json: false
            case .auto: isTerminal(1)
            }
        return SinkPlan("stdout") { _ throws(SinkError) in
            if isText { TerminalSink(style: style) } else { StandardOutputSink() }
        }
    }

    /// Where commands come from: NATS, if there is one.
    ///
    /// - Throws: `StartError(.notPermitted)` for credentials that are there in part.
    func commands() throws(StartError) -> CommandPlan? {
        guard let nats = try nats() else { return nil }
        return CommandPlan { NATSCommandSource(nats) }
    }

    /// How to reach NATS, if the log goes there.
    func nats() throws(StartError) -> NATSSettings? {
        guard let url = settings.delivery.natsURL else { return nil }
        var nats = NATSSettings(
            url: url, credentials: try Self.credentials(secrets, settings.folders.secrets), job: settings.job.text,
            createsStreams: settings.delivery.createStreams)
        nats.currentCredentials = { [folder = settings.folders.secrets] in
            guard let secrets = try? Secrets(folder: folder) else { return nil }
            return try? Self.credentials(secrets, folder)
        }
        return nats
    }

    /// The first of `nats.creds`, `nats-token`, `nats-user` with `nats-password` that the secrets folder has.
    private static func credentials(
        _ secrets: Secrets, _ folder: String
    ) throws(StartError) -> NATSSettings.Credentials {
        if secrets["nats.creds"] != nil { return .file(folder + "/nats.creds") }
        if let token = secrets["nats-token"] { return .token(token) }
        switch (secrets["nats-user"], secrets["nats-password"]) {
        case (nil, nil): return .none
        case (let user?, let password?): return .user(user, password: password)
        default:
            throw StartError(
                .notPermitted,
                "the folder \(folder) has one of nats-user and nats-password; NATS needs both")
        }
    }
}
