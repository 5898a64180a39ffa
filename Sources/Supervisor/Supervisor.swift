import CLinux
import Contracts
import Glibc
import LinuxSystem
import SecretRedaction

/// PID 1 over the gateway and the loop: starts them, reaps, restarts, watches, stops.
///
/// One thread and one wait. Every turn of `run` takes what has come (signals, status lines, ended children), then
/// does what is due; nothing else ever blocks.
final class Supervisor {
    /// Where the run is.
    private enum Stage {
        case running
        /// The loop has been told to stop and is killed at that moment.
        case stopping(killAt: Int64)
        /// The loop is gone for good; the gateway ships what is left, until that moment.
        case draining(until: Int64)
        case over
    }

    private let settings: InitSettings
    private let agentd: String
    private let signals: SignalSource
    private let plumbing: Plumbing
    private let plan: StopPlan
    private let loop: Child
    private let gateway: Child
    private let ignored = IgnoredSignals()
    private let terminationLog: TerminationLog
    /// What must not be in anything that is let out: every text that a child has had a hand in passes through it.
    private let secrets = KnownSecrets()
    private let gasps: LastGasps
    private var memory = MemoryEvidence()
    private var stage = Stage.running
    private var verdict: Verdict?
    private var progress = StatusLine.Progress(phase: "START", step: 0, seq: 0)
    /// When SIGTERM came.
    private var stopAt: Int64?
    /// What to say if the stage takes longer than a moment.
    private var delay: (at: Int64, words: String)?

    /// - Throws: `SystemError`: no pipes or no /dev/null to be had.
    init(
        settings: InitSettings, terminationLog: TerminationLog, agentd: String, secretsFolder: String,
        signals: SignalSource
    ) throws(SystemError) {
        self.settings = settings
        self.agentd = agentd
        self.signals = signals
        plan = StopPlan(grace: settings.grace)
        self.terminationLog = terminationLog
        plumbing = try Plumbing()
        loop = try Child(name: "loop")
        gateway = try Child(name: "gateway")
        gasps = LastGasps(without: secrets)
        secrets.learn(folder: secretsFolder)
    }

    /// Runs the agent to its end and returns the exit code of the container.
    func run() -> Int32 {
        writeAhead()
        var last = Clock.monotonic
        var more = false
        while true {
            wait(for: more ? 0 : 1000)
            let now = Clock.monotonic
            // A turn takes a second at most: if more has passed, we were frozen, and the children with us.
            if now - last > 5000 { [loop, gateway].forEach { $0.forgive(now - last) } }
            last = now
            for signal in signals.take() { handle(signal, at: now) }
            plumbing.take()
            for child in [loop, gateway] { takeStatus(of: child, at: now) }
            plumbing.pass(without: secrets, gatewayIsUp: gateway.isUp)
            let ended = reapEnded()
            more = !ended.isEmpty
            for one in ended { handle(one, at: now) }
            advance(at: now)
            if case .over = stage { break }
        }
        // The gateway's last words, as far as they are taken at once: it has ended.
        plumbing.pass(without: secrets, gatewayIsUp: gateway.isUp)
        endLeftovers()
        return finish()
    }

    /// Waits for signals and status lines; at most a second, so that an ended child is found even if its SIGCHLD
    /// was lost.
    private func wait(for limit: Int64) {
        var deadline = Deadline.after(milliseconds: limit)
        for case let moment? in [loop.startAt, gateway.startAt] { deadline = deadline.sooner(Deadline(at: moment)) }
        switch stage {
        case .stopping(let moment), .draining(let moment): deadline = deadline.sooner(Deadline(at: moment))
        case .running, .over: break
        }
        var sources = [signals.descriptor, loop.status.reader.number, gateway.status.reader.number].map {
            pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
        }
        sources += plumbing.awaited
        // Beside EINTR only ENOMEM can come (poll(2)): PID 1 goes on, and not in a spin.
        if poll(&sources, nfds_t(sources.count), deadline.pollTimeout) < 0, errno != EINTR { usleep(100_000) }
    }

    // MARK: What has come

    /// Whether a signal asks for the end, and may.
    private func asksForTheEnd(_ signal: ReceivedSignal) -> Bool {
        guard [SIGTERM, SIGINT, SIGHUP, SIGQUIT].contains(signal.number) else { return false }
        if isInit, !signal.isFromOutside {
            ignored.tell(of: signal)
            return false
        }
        return true
    }

    private func handle(_ signal: ReceivedSignal, at now: Int64) {
        guard asksForTheEnd(signal) else { return }
        let name = signalName(signal.number)
        guard stopAt == nil else {
            logLine("\(name) again: already stopping")
            return
        }
        stopAt = now
        logLine("\(name): stopping within \(settings.grace / 1000) s")
        switch stage {
        case .running: stopLoop(at: now)
        case .stopping(let killAt): stage = .stopping(killAt: min(killAt, now + plan.mainLimit))
        case .draining(let until): stage = .draining(until: min(until, now + plan.drainLimit))
        case .over: break
        }
    }

    private func takeStatus(of child: Child, at now: Int64) {
        for line in child.takeStatus(at: now) {
            switch line {
            case .beat: break
            case .records(let folder): gasps.use(folder)
            case .secrets(let folder): secrets.learn(folder: folder)
            case .progress(let progress), .end(_, _, _, let progress):
                guard child === loop else { continue }
                let isNews = progress.phase != self.progress.phase
                self.progress = progress
                if isNews { writeAhead() }
            }
        }
    }

    private func handle(_ ended: Reaped, at now: Int64) {
        guard let child = [loop, gateway].first(where: { $0.pid == ended.pid }) else { return }
        // What it wrote before it died; after it nobody else writes there.
        takeStatus(of: child, at: now)
        let memory = memory.find(ended.end)
        let tail =
            child === loop
            ? plumbing.lastWordsOfLoop() : plumbing.lastWordsOfGateway(without: secrets, wasUp: child.isUp)
        let cause = child.died(
            ended.end, evidence: child.wasKilled ? nil : memory?.cause,
            lastLine: String(decoding: secrets.clean(Array(tail.lastLine)).prefix(1000), as: UTF8.self))
        if !isOrderly(ended.end, of: child) {
            gasps.keep(
                LastGasp(
                    child: child.name, pid: ended.pid, time: Clock.wall, cause: cause, end: ended.end,
                    memory: memory, usage: ended.usage, progress: progress, restarts: child.restarts, tail: tail))
        }
        if child === loop { loopEnded(ended.end, at: now) } else { gatewayEnded(ended.end, at: now) }
    }

    /// Whether a child has ended as it should: it has said all that there is to say, or was told to end before it could.
    private func isOrderly(_ end: ProcessEnd, of child: Child) -> Bool {
        if end == .signaled(SIGTERM) { return child.isAskedToEnd }
        if child === gateway, end == .exited(0) { return true }
        let verdict =
            child === loop
            ? Verdict(loopEnded: end, farewell: child.farewell, lastLine: "")
            : Verdict(gatewayEnded: end, farewell: child.farewell, lastLine: "")
        return verdict != nil && child.farewell != nil
    }

    private func loopEnded(_ end: ProcessEnd, at now: Int64) {
        switch stage {
        case .running:
            verdict =
                Verdict(loopEnded: end, farewell: loop.farewell, lastLine: loop.lastLine)
                ?? Verdict(unloadable: end, lastLine: loop.lastLine)
            if verdict == nil { restart(loop, at: now) } else { drain(at: now) }
        case .stopping:
            verdict = verdict ?? Verdict(stoppedLoop: end, farewell: loop.farewell, lastLine: loop.lastLine)
            drain(at: now)
        case .draining, .over: break
        }
    }

    private func gatewayEnded(_ end: ProcessEnd, at now: Int64) {
        if case .draining = stage {
            return lastGatewayEnded(end, at: now)
        }
        let final =
            Verdict(gatewayEnded: end, farewell: gateway.farewell, lastLine: gateway.lastLine)
            ?? Verdict(unloadable: end, lastLine: gateway.lastLine)
        if let final { giveUp(final, at: now) } else { restart(gateway, at: now) }
    }

    /// The gateway has ended while it shipped what is left: whether it has, or is to be started again for it.
    private func lastGatewayEnded(_ end: ProcessEnd, at now: Int64) {
        switch end {
        case .exited(0) where gateway.isUp, .signaled(SIGTERM): stage = .over
        case .exited(let code) where code == 127 || ExitCode(rawValue: code)?.isFinal == true:
            stage = .over
            let said = verdict?.reason ?? ""
            // The loop may have said the same: then it is said once.
            if case .end(_, _, let reason, _) = gateway.farewell, reason == said { break }
            if !gateway.lastLine.isEmpty, said.hasSuffix(gateway.lastLine) { break }
            say("\(gateway.lastEnds); what is left of the log was not shipped")
        default: restart(gateway, at: now)
        }
    }

    // MARK: What follows

    private func restart(_ child: Child, at now: Int64) {
        if let delay = child.planRestart(at: now) {
            // A volume that has failed ends both, and the loop's word of it is the run's: said once. If it ends the gateway
            // alone, it does so again.
            if child === gateway, child.restarts == 1, case .end(_, ExitCode.tryAgain.rawValue, _, _) = child.farewell {
                return writeAhead()
            }
            say("\(child.lastEndsBriefly()); starting it again in \(delay) ms (restart \(child.restarts))")
            writeAhead()
        } else {
            giveUp(Verdict(.internalError, reason: "\(child.lastEnds); its restart budget is spent"), at: now)
        }
    }

    /// Ends the run for a reason that is not the loop's own: whatever still runs is stopped in stages.
    private func giveUp(_ verdict: Verdict, at now: Int64) {
        switch stage {
        case .running:
            self.verdict = verdict
            stopLoop(at: now)
        // The loop goes on saving; that the gateway is gone does not change how the run ends.
        case .stopping: break
        case .draining: stage = .over
        case .over: break
        }
    }

    private func stopLoop(at now: Int64) {
        loop.cancelStart()
        guard loop.pid != nil else {
            verdict = verdict ?? Verdict(.stopped, reason: "told to stop while the loop did not run")
            return drain(at: now)
        }
        tell("SIGTERM to the loop; SIGKILL in \(plan.mainLimit) ms", at: now)
        loop.send(SIGTERM)
        stage = .stopping(killAt: now + plan.mainLimit)
    }

    private func drain(at now: Int64) {
        let until = min(now + StopPlan.ordinaryDrain, stopAt.map { $0 + plan.drainLimit } ?? .max)
        tell("the loop has ended; the gateway has \(max(0, until - now)) ms to ship what is left", at: now)
        stage = .draining(until: until)
        loop.cancelStart()
        plumbing.closeLoopEnds()
        // SIGTERM would kill one that has not come so far as to handle it, and what is in the pipes with it. It ends
        // by itself, as one that is still to be started does, when it has read them to their end.
        if gateway.isUp { gateway.send(SIGTERM) }
        gateway.hastenStart()
        if gateway.pid == nil, gateway.startAt == nil { stage = .over }
    }

    private func advance(at now: Int64) {
        for child in [loop, gateway] {
            if let startAt = child.startAt, startAt <= now { start(child, at: now) }
        }
        if let delay, delay.at <= now {
            logLine(delay.words)
            self.delay = nil
        }
        switch stage {
        case .running:
            for child in [loop, gateway] {
                if let words = child.endIfHung(at: now, limit: settings.watchdog) {
                    say("\(words), last known \(place); ending it")
                }
            }
        case .stopping(let killAt) where killAt <= now:
            say("the loop has not ended (last known \(place)); SIGKILL")
            loop.send(SIGKILL)
            stage = .stopping(killAt: .max)
        case .draining(let until) where until <= now:
            logLine("the gateway has not ended in time")
            stage = .over
        case .stopping, .draining, .over: break
        }
    }

    private func start(_ child: Child, at now: Int64) {
        let status = child.status.writer.number
        let (descriptors, arguments) = child === loop ? plumbing.loop(status: status) : plumbing.gateway(status: status)
        let result = withCStrings(["agentd"] + arguments) { argv in
            // The environment as the kernel gave it to us, byte for byte. A session of its own: what a terminal
            // sends (^C, ^Z) is for PID 1 to deal with.
            clinux_spawn(
                agentd, argv, clinux_environment(), descriptors.map(\.ours), descriptors.map(\.childs),
                Int32(descriptors.count), 1)
        }
        if result > 1 {
            child.started(result, at: now)
        } else {
            let error = SystemError("posix_spawn", code: -result, subject: agentd)
            child.couldNotStart(error)
            // What is missing for a moment may be there at the next start; what is wrong with the file stays so.
            if [EAGAIN, ENOMEM, EMFILE, ENFILE, ETXTBSY, EIO].contains(error.code) {
                restart(child, at: now)
            } else {
                giveUp(Verdict(.internalError, reason: child.lastEnds), at: now)
            }
        }
    }

    private func endLeftovers() {
        let deadline = stopAt.map { $0 + plan.wholeLimit } ?? Clock.monotonic + plan.strayLimit
        Leftovers(signals: signals, passedOn: { [self] in asksForTheEnd($0) ? SIGTERM : nil })
            .end(by: Deadline(at: deadline))
    }

    // MARK: The record

    private func say(_ words: String) { logLine(secrets.clean(words)) }

    /// Says where a stop stands: at once to who has asked for it, else only if it takes its time.
    private func tell(_ words: String, at now: Int64) {
        delay = nil
        if stopAt != nil { logLine(words) } else { delay = (now + 1000, words) }
    }

    private var place: String {
        "phase \(progress.phase), step \(progress.step), seq \(progress.seq)"
            + (progress.doing.isEmpty ? "" : ", doing \(progress.doing)")
    }

    private func writeAhead() {
        terminationLog.write(
            message(Verdict(code: 0, outcome: "unfinished", reason: "the run had not ended yet"), exitCode: nil))
        // What made the message, and at first our start, is not needed until the next phase.
        clinux_forget_start()
    }

    private func finish() -> Int32 {
        let verdict = verdict ?? Verdict(.internalError, reason: "the run ended without a verdict")
        terminationLog.write(message(verdict, exitCode: verdict.code))
        say("\(verdict.outcome), exit code \(verdict.code): \(verdict.reason)")
        return verdict.code
    }

    private func message(_ verdict: Verdict, exitCode: Int32?) -> TerminationMessage {
        TerminationMessage(
            outcome: secrets.clean(verdict.outcome), exitCode: exitCode, reason: secrets.clean(verdict.reason),
            phase: secrets.clean(progress.phase), step: progress.step,
            seq: progress.seq, restarts: loop.restarts + gateway.restarts)
    }
}
