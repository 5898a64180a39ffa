import Agent
import ArgumentParser
import Contracts
import Gateway
import Glibc
import Jail
import LinuxSystem

/// `agentd gateway`: all that talks outward.
struct GatewayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gateway", abstract: "Ship the log, take commands, answer probes. PID 1 does this.")

    @Option(help: "Descriptor of the pipe to PID 1.") var statusFd: Int32?
    @Option(help: "Descriptor of the pipe that takes commands to the loop.") var commandsFd: Int32?
    @Option(help: "Descriptor of the loop's pipe for what is only shown.") var liveFd: Int32?
    @Option(help: "Descriptor of the loop's standard output.") var loopStdoutFd: Int32?
    @Option(help: "Descriptor of the loop's standard error.") var loopStderrFd: Int32?

    func run() throws {
        signal(SIGPIPE, SIG_IGN)
        confineProcess("gateway")
        // Without PID 1 nobody watches us, and the next start needs our place: save and go.
        if statusFd != nil { signalAtParentsEnd(SIGTERM) }
        let supervisor = SupervisorPipe(descriptor: statusFd)
        let exit: Contracts.ExitCode
        do {
            try requireProc()
            let environment = processEnvironment()
            let settings = try Settings(environment: environment)
            // Before PID 1 hears of us: from then on it sends SIGTERM when the loop has ended, and takes a gateway that
            // died of it for one that has shipped everything. They stay blocked when this descriptor goes.
            _ = try SignalDescriptor([SIGTERM, SIGINT])
            supervisor.tell(secrets: settings.folders.secrets)
            try settings.folders.prepare()
            supervisor.tell(records: settings.folders.gasps)
            let secrets = try Secrets(folder: settings.folders.secrets)
            var configuration = GatewayConfiguration(job: settings.job.text, spoolPath: settings.folders.spool)
            configuration.gasps = settings.folders.gasps
            configuration.spoolLimit = settings.delivery.spoolLimit
            configuration.listen = settings.delivery.listen
            configuration.secrets = secrets.all
            configuration.secretsFolder = settings.folders.secrets
            configuration.status = statusFd
            configuration.commands = commandsFd
            configuration.live = liveFd
            configuration.loopStandardOutput = loopStdoutFd
            configuration.loopStandardError = loopStderrFd
            confine(settings, environment: environment)
            let outward = Outward(settings: settings, secrets: secrets, environment: environment)
            exit = try Gateway(
                configuration: configuration, journal: Wiring.journal(of: settings.folders), sinks: try outward.sinks(),
                commands: try outward.commands()
            ).run()
        } catch let error as StartError {
            exit = refuse(LoopEnd(error), to: supervisor)
        } catch let error as GatewayError {
            exit = refuse(LoopEnd(error.exit, outcome: "gateway", reason: error.description), to: supervisor)
        } catch {
            let reason = "the gateway cannot start: \(error)"
            exit = refuse(LoopEnd(.internalError, outcome: "gateway", reason: reason), to: supervisor)
        }
        throw ArgumentParser.ExitCode(exit.rawValue)
    }

    /// Closes to this process all that is not a place of its work. It goes on without, and says so: it runs nothing of the
    /// model's, and without it nobody would learn why the loop has ended. On a kernel without Landlock it says nothing:
    /// the loop ends there, and says why.
    private func confine(_ settings: Settings, environment: [String: String]) {
        guard Kernel.probe().landlock >= Kernel.neededLandlock else { return }
        do throws(JailFailure) {
            try Confinement.gateway(settings, environment: environment).enter()
        } catch {
            say("agent-init gateway: warning: it is not confined to its places: \(error)")
        }
    }

    /// Says why there is no gateway: to PID 1, which passes it on, or to whoever has started it by hand.
    private func refuse(_ end: LoopEnd, to supervisor: SupervisorPipe) -> Contracts.ExitCode {
        supervisor.tell(end, at: StatusLine.Progress(phase: "", step: 0, seq: 0))
        if statusFd == nil { say("agent-init gateway: \(supervisor.shown(end).reason)") }
        return end.exit
    }
}
