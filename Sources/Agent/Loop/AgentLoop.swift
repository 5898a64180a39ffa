import Contracts
import Events
import LinuxSystem

/// The agent: takes one step after the other, each decided by the state and committed to the journal.
///
/// One thread, no other state than the ledger's. It can be killed at any instant: the next process asks
/// `JobState.nextStep` and gets what this one would have done.
package final class AgentLoop {
    let ledger: Ledger
    let provider: any LLMProvider
    let tools: ToolSet
    let commands: JailedCommands
    let background: BackgroundCommands
    let tree: ProjectTree
    let settings: Settings
    let model: String
    /// Nil if a price is unknown.
    let prices: Prices?
    let acceptance: Acceptance?
    let attention: CommandRecorder
    /// Nil if there are to be no snapshots.
    let snapshots: SnapshotKeeper?
    private let source: any LoopAttention
    let display: any LiveDisplay
    /// How long this process still waits for the LLM.
    var patience: LLMPatience

    package init(
        ledger: Ledger, provider: any LLMProvider, model: String, prices: Prices? = nil, acceptance: Acceptance? = nil,
        snapshots: SnapshotKeeper? = nil, tools: ToolSet, commands: JailedCommands, background: BackgroundCommands,
        tree: ProjectTree, settings: Settings,
        attention: any LoopAttention, display: any LiveDisplay
    ) {
        self.snapshots = snapshots
        source = attention
        self.ledger = ledger
        self.provider = provider
        self.model = model
        self.prices = prices
        self.acceptance = acceptance
        self.tools = tools
        self.commands = commands
        self.background = background
        self.tree = tree
        self.settings = settings
        self.attention = CommandRecorder(attention, background: background) { command throws(StoreError) in
            guard !ledger.state.seenCommands.contains(command.id) else { return }
            let isFirstTask = command.kind == .task && ledger.state.task == nil
            // A cancelled job is over: nothing of it may run on.
            let ends = command.kind == .cancel ? background.endAll(.job) : []
            try ledger.commit(ends + [.commandReceived(command)] + (isFirstTask ? [Self.opening] : []))
        }
        self.display = display
        patience = LLMPatience(left: ledger.state.backoffLeft(at: Clock.wall))
        ledger.onFull = { background.endAll(.stopped) }
    }

    /// Runs the job to its end or to the end of this process.
    ///
    /// - Parameters:
    ///   - task: the task of the configuration; it is taken only if the job has none yet.
    ///   - previous: what the last holder of the job has noted of itself.
    /// - Returns: how this process ends; everything is committed then.
    /// - Throws: `StoreError`: the process must end at once.
    package func run(task: Event.TaskReceived?, previous: Holder.Record? = nil) throws(StoreError) -> LoopEnd {
        // First: a job that begins here anew, and has got further elsewhere, waits with its task.
        if let task, ledger.state.task == nil { try ledger.commit([.taskReceived(task), Self.opening]) }
        if !ledger.state.isFinished,
            let rewound = rewind.found(by: ledger, previous: previous, statement: source.takeStatement())
        {
            try ledger.commit(.restored(rewound))
        }
        rewind.setAside(strangersTo: ledger.state)
        let end = try takeSteps()
        try record(background.endAll(.stopped))
        snapshots?.finish(
            end.outcome, isStop: end.exit == .stopped, isEnd: [.completed, .failed].contains(end.exit),
            seq: ledger.state.seq, attention: source)
        return end
    }

    private func takeSteps() throws(StoreError) -> LoopEnd {
        while true {
            if let end = try takeIn() { return end }
            snapshots?.look(seq: ledger.state.seq)
            switch ledger.state.nextStep(limits: settings.limits, mayTry: patience.mayTry) {
            case .waitForTask:
                if let end = wait(for: "a task command", outcome: "no_task") { return end }
            case .waitForHuman(let reason):
                snapshots?.request(ledger.state.status.word)
                if let end = wait(for: reason, outcome: ledger.state.status.word) { return end }
            case .backOff: if let end = backOff() { return end }
            case .settleInterrupted(let call): try settle(call)
            case .settleBackground(let command): try settle(command)
            case .run(let call):
                // All that an earlier process left running is settled by now.
                commands.outputs.settle()
                if let end = try run(call) { return end }
            case .changePhase(let phase, let reason): try change(to: phase, reason: reason)
            case .verify:
                commands.outputs.settle()
                if let end = try verify() { return end }
            case .note(let note): try ledger.commit(.noted(note))
            case .compact(let shorter): try ledger.commit(.compacted(shorter))
            case .ask: if let end = try ask() { return end }
            case .finish(let outcome, let reason): try finish(outcome, reason)
            case .ended: return ended
            }
        }
    }

    /// Ends the job for good, and everything that still runs of it.
    func finish(_ outcome: Outcome, _ reason: String) throws(StoreError) {
        try ledger.commit(
            background.endAll(.job) + [.statusChanged(.init(status: .finished(outcome, reason: reason)))])
    }

    private var rewind: Rewind { Rewind(folders: settings.folders, asks: settings.asksAfterRestore) }

    private func record(_ events: [Event]) throws(StoreError) {
        if !events.isEmpty { try ledger.commit(events) }
    }

    /// Beats, and records what has come from outside before anything is done about it.
    private func takeIn() throws(StoreError) -> LoopEnd? {
        let mustStop = try attention.settle()
        try record(background.takeEnded())
        if let statement = source.takeStatement(), !ledger.state.isFinished,
            let rewound = rewind.found(by: statement, in: ledger.state)
        {
            // What this process has running may be a second time what was done: it does not go on before somebody has looked.
            try record(background.endAll(.stopped) + [.restored(rewound)])
        }
        guard mustStop, !ledger.state.isFinished else { return nil }
        return LoopEnd(.stopped, outcome: "stopped", reason: "stopped by SIGTERM; everything is saved")
    }

    /// The first phase, with what the model is told about it.
    private static var opening: Event {
        .phaseChanged(
            .init(
                from: .strategic, to: .strategic, number: 1, reason: "the job begins",
                brief: Prompt.brief(of: .strategic, number: 1, state: JobState(), reason: "")))
    }

    private func change(to phase: Phase, reason: String) throws(StoreError) {
        let state = ledger.state
        // A verification is no phase of the model's: it has no number of its own.
        let number = phase == .verify ? state.phaseNumber : state.phaseNumber + 1
        let brief = Prompt.brief(of: phase, number: number, state: state, reason: reason)
        // What was started to act must not go on changing files while the model only looks, or while they are checked.
        try ledger.commit(
            background.endAll(.phase) + [
                .phaseChanged(.init(from: state.phase, to: phase, number: number, reason: reason, brief: brief))
            ])
        snapshots?.request("phase")
    }

    /// One second of waiting for something from outside, within the process's patience.
    private func wait(for what: String, outcome: String) -> LoopEnd? {
        // Something is committed at the start already: no process waits for what came before it.
        let waited = Clock.monotonic - ledger.lastCommit
        if settings.delivery.natsURL == nil || waited > settings.inputWait {
            let hint =
                settings.delivery.natsURL == nil
                ? "no NATS_URL is set, so no command can come" : "nothing came in \(settings.inputWait / 1000) s"
            return LoopEnd(.tryAgain, outcome: outcome, reason: "waiting for \(what): \(hint)")
        }
        pause(until: .after(milliseconds: 1000))
        return nil
    }

    /// Waits for the LLM's next try, unless that is beyond this process's patience.
    private func backOff() -> LoopEnd? {
        let reason = if case .backoff(_, let reason) = ledger.state.status { reason } else { "" }
        if patience.isExhausted(outage: settings.model.outage) {
            return LoopEnd(
                .tryAgain, outcome: "try_again",
                reason: "the LLM was out for longer than AGENT_LLM_OUTAGE_SECONDS "
                    + "(\(settings.model.outage / 1000)); last: \(reason)")
        }
        if provider.hasOtherKey { patience.keyChanged() }
        pause(until: .after(milliseconds: min(1000, patience.remaining())))
        return nil
    }

    private func pause(until deadline: Deadline) {
        // What has become readable is taken in by the next `attend`.
        _ = try? waitReadable(attention.descriptors, until: deadline)
    }

    private var ended: LoopEnd {
        guard case .finished(let outcome, let reason) = ledger.state.status else {
            return LoopEnd(.internalError, outcome: "error", reason: "the job is over without an outcome")
        }
        return LoopEnd(outcome == .completed ? .completed : .failed, outcome: outcome.rawValue, reason: reason)
    }
}
