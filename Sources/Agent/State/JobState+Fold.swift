import Events

extension JobState {
    /// The state after a whole journal.
    package init(folding events: [StoredEvent]) {
        self.init()
        for event in events { apply(event) }
    }

    /// The state after one more event. Total: every event that could be stored can be applied.
    package mutating func apply(_ stored: StoredEvent) {
        if stored.epoch == epoch, time > 0 { spent.wall += max(0, stored.time - time) }
        seq = stored.seq
        time = stored.time
        switch stored.event {
        case .acquired: acquire(stored.epoch)
        case .restored(let body): restore(body)
        case .taskReceived(let body):
            begin(body.text)
        case .commandReceived(let body): receive(body)
        case .llmIntent(let body):
            loseOpenIntent()
            openIntent = body
            // What has come until now is in the request: all that was said has been flushed.
            hasUnreadInput = false
            claim = nil
        case .llmDone(let body): answer(body)
        case .llmFailed(let body): fail(body, at: stored.time)
        case .callStarted(let body):
            update(body.call) { call in
                call.state = .started
                call.attempt = body.attempt
                call.startedBy = stored.epoch
                call.startedAt = stored.time
            }
            callCounts.run += 1
        case .callFinished(let body): finish(body)
        case .phaseChanged(let body): change(body)
        case .noted(let body): note(body)
        case .compacted(let body): compact(body)
        case .verified(let body): verify(body)
        case .statusChanged(let body):
            stoppedFrom = body.cause == .diskFull ? stoppedFrom ?? status : nil
            status = body.status
        case .backgroundEnded(let body):
            background.removeAll { $0.id == body.call }
            if !body.content.isEmpty { notes.append(body.content) }
        }
        flush()
    }

    private mutating func acquire(_ newEpoch: Int64) {
        epoch = newEpoch
        // The process that sent it is gone, and the answer with it.
        loseOpenIntent()
        callCounts.reused = callCounts.ended
    }

    private mutating func restore(_ body: Event.Restored) {
        let place = JournalPlace(epoch: epoch, seq: 0)
        restoredThrough = max(restoredThrough ?? place, place, body.beyond ?? place)
        restoredAtStep = spent.steps
        guard !isFinished else { return }
        notes.append(
            """
            The record of this job ends at event \(body.seq), earlier than the job had got: \(body.reason). What was done after \
            that is not in it: commands may have run that you know nothing of. Look at the project tree before you go on.
            """)
        guard body.asks, task != nil else { return }
        statusBesidePause = .needsInput(
            reason:
                "the checkpoint ends at event \(body.seq), earlier than the job had got (\(body.reason)); commands that ran "
                + "after it are not recorded. Look at the project tree, then send a message to go on")
    }

    private mutating func receive(_ command: Event.CommandReceived) {
        seenCommands.insert(command.id)
        switch command.kind {
        case .task:
            if task == nil {
                begin(command.text)
            } else {
                notes.append("\(Self.furtherTaskMark)\n\(command.text)")
                takeInput()
            }
        case .message:
            notes.append("\(Self.messageMark)\n\(command.text)")
            takeInput()
        case .pause:
            switch status {
            case .running, .backoff, .needsInput: (pausedFrom, status) = (status, .paused)
            case .waitingForTask, .paused, .finished: break
            }
        case .resume:
            if status == .paused { status = pausedFrom }
        case .cancel:
            if !isFinished { status = .finished(.cancelled, reason: command.text.isEmpty ? "cancelled" : command.text) }
        }
    }

    /// What the user's words begin with in the conversation.
    static let messageMark = "A message from the user:"
    static let furtherTaskMark = "A further task from the user:"

    private mutating func begin(_ text: String) {
        task = text
        status = .running
        notes.append("The task:\n\n\(text)")
    }

    private mutating func takeInput() {
        hasNewInput = true
        hasUnreadInput = true
        if claim != nil, phase != .verify {
            notes.append(
                "It came before the job was verified: your claim that it is complete is set aside. Read it first.")
        }
        if case .needsInput = statusBesidePause { statusBesidePause = .running }
    }

    /// A request whose answer never came counts as its hold: the provider may have charged for it.
    private mutating func loseOpenIntent() {
        guard let intent = openIntent else { return }
        spent.lostTokens += intent.hold
        spent.cost += intent.cost ?? 0
        spent.estimatedCost += intent.cost ?? 0
        openIntent = nil
    }

    private mutating func answer(_ body: Event.LLMDone) {
        let asked = openIntent
        openIntent = nil
        failures = 0
        failingSince = nil
        spent.steps += 1
        stepsInPhase += 1
        if let estimate = body.estimate {
            spent.estimatedTokens += estimate
            spent.estimatedCost += body.cost ?? 0
        } else if let usage = body.usage {
            spent.inputTokens += usage.input
            spent.outputTokens += usage.output
        }
        if let cost = body.cost { spent.cost += cost } else { spent.hasUnknownCost = true }
        // Neither API takes an empty message back.
        let content = body.content.isEmpty ? [.text("(no content)")] : body.content
        messages.append(Message(role: .assistant, content: content))
        calls = body.calls.map { OpenCall(call: $0) }
        lastStop = body.stop
        answeredTokens = body.usage.flatMap { $0.isTold ? $0.input + $0.output : nil }
        if answeredTokens == nil, let input = asked?.input {
            answeredTokens = input + Message(role: .assistant, content: content).bytes / 4
        }
        hasOverflowed = body.stop == .contextWindow
        if !hasOverflowed { compactions = 0 }
        answersWithoutCall = calls.isEmpty && body.stop != .pauseTurn ? answersWithoutCall + 1 : 0
        if case .backoff = statusBesidePause { statusBesidePause = .running }
    }

    private mutating func fail(_ body: Event.LLMFailed, at time: Int64) {
        switch body.kind {
        // It was not answered, and nothing of it was charged, as far as anyone can know.
        case .authentication, .quota, .overflow, .invalidRequest, .rateLimited, .overloaded: openIntent = nil
        case .network, .timeout, .server, .truncated, .protocolError, .interrupted: loseOpenIntent()
        }
        guard body.kind != .interrupted else { return }
        if body.kind == .overflow { hasOverflowed = true }
        failures += 1
        if failingSince == nil { failingSince = time }
        guard let retryAt = body.retryAt else { return }
        statusBesidePause = .backoff(until: retryAt, reason: body.message)
        // A new process has read the key anew.
        let isForKey = body.kind == .authentication
        backoffDelay = isForKey ? 0 : min(body.delay ?? max(0, retryAt - time), RetryDelay.longest)
    }

    /// How much of a wait for the LLM that another process has begun is left, in milliseconds, by the present time.
    ///
    /// 0 if `retryAt` is further away than the wait was long: it was told by another clock. Nobody knows then how much of
    /// it is over; one request too soon costs less than a wait as long as the two clocks are apart.
    package func backoffLeft(at now: Int64) -> Int64 {
        guard case .backoff(let until, _) = statusBesidePause, until > now, until - now <= backoffDelay else {
            return 0
        }
        return until - now
    }

    private mutating func finish(_ body: Event.CallFinished) {
        update(body.call) { call in
            call.state = .finished
            call.result = body.content
            call.outcome = body.outcome
        }
        switch body.outcome {
        case .interrupted: callCounts.interrupted += 1
        case .refused: callCounts.refused += 1
        case .done, .failed: callCounts.ended += 1
        }
        callsWithoutProgress += 1
        for effect in body.effects { take(effect) }
    }

    private mutating func take(_ effect: Effect) {
        switch effect {
        case .planWritten(let text): plan = text
        case .todosStaged(let new): todos += new
        case .todoUpdated(let id, let status, let evidence):
            guard let index = todos.firstIndex(where: { $0.id == id }) else { return }
            if todos[index].status != status { noteProgress() }
            if status == .inProgress, todos[index].status != .inProgress { todos[index].attempts += 1 }
            todos[index].status = status
            if let evidence { todos[index].evidence = evidence }
        case .tacticalRequested: wantsTactical = true
        case .phaseEnded(let reason): endedPhase = reason
        case .questionAsked(let question): statusBesidePause = .needsInput(reason: question)
        case .completionClaimed(let summary, let deliverables):
            claim = Claim(summary: summary, deliverables: deliverables)
        case .artifactChanged: noteProgress()
        case .backgroundStarted(let id, let command):
            background.append(Background(id: id, command: command, epoch: epoch))
        }
    }

    private mutating func noteProgress() {
        callsWithoutProgress = 0
        wasToldOfStall = false
    }

    private mutating func change(_ body: Event.PhaseChanged) {
        phase = body.to
        phaseNumber = body.number
        stepsInPhase = 0
        noteProgress()
        answersWithoutCall = 0
        wantsTactical = false
        endedPhase = nil
        hasNewInput = false
        if body.to != .verify { claim = nil }
        if !body.brief.isEmpty { notes.append(body.brief) }
    }

    private mutating func note(_ body: Event.Noted) {
        notes.append(body.text)
        if body.kind == .stall { wasToldOfStall = true }
    }

    private mutating func verify(_ body: Event.Verified) {
        missedDeliverable = body.missedDeliverable ?? false
        if body.passed, let claim { status = .finished(.completed, reason: claim.summary) }
    }

    private mutating func update(_ id: String, _ change: (inout OpenCall) -> Void) {
        guard let index = calls.firstIndex(where: { $0.call.id == id }) else { return }
        change(&calls[index])
    }

    /// Moves results and notes into the conversation as soon as the pairing allows: all results of an answer first,
    /// in one user message, then what else there is to say.
    private mutating func flush() {
        if !calls.isEmpty {
            guard calls.allSatisfy({ $0.state == .finished }) else { return }
            let results = calls.map { call in
                Block.toolResult(id: call.call.providerID, content: call.result ?? "", isError: call.outcome != .done)
            }
            messages.append(Message(role: .user, content: results))
            calls = []
        }
        // Notes wait until a request is due: an intent in flight was sent without them.
        guard !notes.isEmpty, openIntent == nil else { return }
        let texts = notes.map { Block.text($0) }
        notes = []
        if messages.last?.role == .user {
            messages[messages.count - 1].content += texts
        } else {
            messages.append(Message(role: .user, content: texts))
        }
    }

    /// Where the job stands apart from a pause, which what a running step brings does not end.
    private var statusBesidePause: Status {
        get { status == .paused ? pausedFrom : status }
        set { if status == .paused { pausedFrom = newValue } else { status = newValue } }
    }

    package var isFinished: Bool { if case .finished = status { true } else { false } }
}
