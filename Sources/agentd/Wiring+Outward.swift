import Agent
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
    var sinks: [SinkPlan] {
        var plans = [standardOutput]
        if let path = settings.delivery.logFile {
            plans.append(SinkPlan("file") { () throws(SinkError) in try LogFileSink(path: path) })
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
        return SinkPlan("stdout") { () throws(SinkError) in
            if isText { TerminalSink(style: style) } else { StandardOutputSink() }
        }
    }

    func commands() throws(StartError) -> CommandPlan? { nil }
}
