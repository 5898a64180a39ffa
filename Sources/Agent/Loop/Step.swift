/// What the loop does next.
package enum Step: Equatable {
    case waitForTask
    /// Waiting for a human (paused, or a question is open).
    case waitForHuman(reason: String)
    /// Waiting for the LLM's next try.
    case backOff
    /// A call that was running when its process ended, and must not be run again by itself.
    case settleInterrupted(OpenCall)
    /// A background command that was running when its process ended: it is gone.
    case settleBackground(JobState.Background)
    case run(OpenCall)
    case changePhase(to: Phase, reason: String)
    case verify
    case note(Event.Noted)
    case compact(Event.Compacted)
    case ask
    case finish(Outcome, reason: String)
    /// The job is over.
    case ended
}

extension JobState {
    /// The next step, from the state alone (and `mayTry`: whether a wait for the LLM is over): a process that takes over
    /// decides as the one before would have.
    package func nextStep(limits: Limits, mayTry: Bool) -> Step {
        if isFinished { return .ended }
        if task == nil { return .waitForTask }
        if let gone = background.first(where: { $0.epoch != epoch }) { return .settleBackground(gone) }
        if status == .paused { return .waitForHuman(reason: "paused") }
        // Calls come before anything else: no answer may stay without its results.
        if let call = calls.first(where: { $0.state != .finished }) {
            let step = step(for: call)
            // But for a human's: of a checkpoint that was put back, a call that it knows as an intent may have run.
            if case .needsInput(let reason) = status, case .run = step { return .waitForHuman(reason: reason) }
            return step
        }
        if case .needsInput(let reason) = status { return .waitForHuman(reason: reason) }
        if phase == .verify { return .verify }
        // A claim that was made without the user's last words does not count: the model is asked again, with them.
        if claim != nil, !hasUnreadInput {
            return .changePhase(to: .verify, reason: "the job is said to be complete")
        }
        if let reason = limits.exhausted(by: spent) { return .finish(.budgetExhausted, reason: reason) }
        if phase == .strategic, wantsTactical { return .changePhase(to: .tactical, reason: "the plan is made") }
        if phase == .tactical, let reason = reasonToThink(limits) {
            return .changePhase(to: .strategic, reason: reason)
        }
        if phase == .strategic, stepsInPhase >= limits.stepsInPhase {
            return .finish(
                .budgetExhausted,
                reason: "AGENT_PHASE_MAX_STEPS: the strategic phase took \(stepsInPhase) steps without a decision")
        }
        if hasOverflowed {
            if let shorter = compaction() { return .compact(shorter) }
            return .finish(
                .failed,
                reason: "the conversation no longer fits the model's context window, and nothing is left to leave out: "
                    + "use a model with a larger one")
        }
        if let note = noteDue(limits) { return note }
        if case .backoff = status, !mayTry { return .backOff }
        if isCompactionDue(window: limits.window), let shorter = compaction() { return .compact(shorter) }
        return .ask
    }

    private func step(for call: OpenCall) -> Step {
        let isLeft = call.state == .started && call.startedBy != epoch
        return isLeft && !call.call.isIdempotent ? .settleInterrupted(call) : .run(call)
    }

    /// Why the tactical phase is over, if it is.
    private func reasonToThink(_ limits: Limits) -> String? {
        if let endedPhase { return endedPhase }
        if hasNewInput { return "there is new input from the user" }
        if !todos.isEmpty, todos.allSatisfy(\.status.isClosed) { return "all todos are closed" }
        let blocked = todos.filter { $0.status == .blocked }.map(\.id)
        if blocked.count >= limits.blocked { return "\(blocked.joined(separator: ", ")) are blocked" }
        if stepsInPhase >= limits.stepsInPhase { return "the phase has reached its limit of \(stepsInPhase) steps" }
        if wasToldOfStall, callsWithoutProgress >= 2 * limits.stall {
            return "no todo and no file has changed in \(callsWithoutProgress) calls"
        }
        return nil
    }

    /// What the model must be told before it is asked again.
    private func noteDue(_ limits: Limits) -> Step? {
        if phase == .tactical, !wasToldOfStall, callsWithoutProgress >= limits.stall {
            return .note(
                .init(
                    kind: .stall,
                    text: """
                        No todo and no file has changed in your last \(callsWithoutProgress) calls. Stop and think: \
                        what have you learned, and what will you do differently? If the plan does not hold, call \
                        end_phase.
                        """))
        }
        // The model's word is the last: it called no tool, or its calls were cut off.
        guard messages.last?.role == .assistant, lastStop != .pauseTurn else { return nil }
        if lastStop == .refusal { return .finish(.failed, reason: "the model refused to go on") }
        if answersWithoutCall >= limits.silentAnswers {
            return .finish(
                .failed, reason: "the model answered \(answersWithoutCall) times in a row without a tool call")
        }
        let text =
            lastStop == .maxTokens
            ? "Your answer was cut at the output limit and its last tool call was dropped. Use smaller steps."
            : "You called no tool. Go on with one; only \(phase.wayOut) ends this phase."
        return .note(.init(kind: .reminder, text: text))
    }
}

extension Phase {
    /// The tools that end the phase, in words.
    var wayOut: String {
        switch self {
        case .strategic: "begin_tactical, ask_human or job_complete"
        case .tactical: "end_phase"
        case .verify: "the verification"
        }
    }
}
