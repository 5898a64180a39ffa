import Contracts
import Events
import LinuxSystem

/// One question to the model.
extension AgentLoop {
    /// Commits the intent, asks, and commits the answer or the failure.
    ///
    /// - Returns: the end of this process, if the failure is one.
    /// - Throws: `StoreError`.
    func ask() throws(StoreError) -> LoopEnd? {
        let state = ledger.state
        var request = LLMRequest(
            model: model, system: Prompt.system, messages: state.messages, tools: tools.offered(in: state.phase),
            maxOutputTokens: settings.model.maxOutputTokens)
        let input = request.estimatedInputTokens
        if let tokens = settings.limits.tokens {
            // The answer may not be longer than what the budget has left after the question.
            let left = tokens - state.spent.tokens - input
            guard left >= 256 else {
                let reason =
                    "AGENT_MAX_TOKENS: \(state.spent.tokens) of \(tokens) are used; the next request needs \(input)"
                try finish(.budgetExhausted, reason)
                return nil
            }
            request.maxOutputTokens = min(request.maxOutputTokens, left)
        }
        let turn = state.spent.steps + 1
        let attempt = state.failures + 1
        try ledger.commit(
            .llmIntent(
                .init(
                    turn: turn, attempt: attempt, hold: input + request.maxOutputTokens, input: input,
                    cost: prices?.cost(ofHold: input, output: request.maxOutputTokens))))
        // The answer will most likely want one, and takes longer than its janitor's start.
        commands.expectCommand(state.phase.commandProfile)
        if provider.hasOtherKey { patience.keyChanged() }
        let start = Clock.monotonic
        // While the model thinks: whether another volume has taken the job. What it answers is not begun before that.
        snapshots?.beginCheck(ledger.epoch)
        let reply: LLMReply
        do throws(LLMError) {
            let display = self.display
            reply = try provider.complete(request, attention: attention) { display.show($0) }
        } catch {
            return try failed(error, turn: turn, attempt: attempt)
        }
        patience.answered()
        try snapshots?.settleCheck(ledger.epoch, attention: attention)
        let told = reply.usage.flatMap { $0.isTold ? $0 : nil }
        try ledger.commit(
            .llmDone(
                .init(
                    turn: turn, attempt: attempt, content: reply.content, calls: calls(in: reply, turn: turn),
                    stop: reply.stop, usage: reply.usage,
                    // What nobody counted counts as what it can have been, or a budget would hold nothing back.
                    estimate: told == nil ? input + request.maxOutputTokens : nil,
                    cost: told.map { usage in prices?.cost(of: usage) }
                        ?? prices?.cost(ofHold: input, output: request.maxOutputTokens),
                    model: reply.model, requestID: reply.requestID, duration: Clock.monotonic - start)))
        return nil
    }

    /// The calls of an answer, with our own ids: a provider's repeat over turns.
    private func calls(in reply: LLMReply, turn: Int) -> [Event.Call] {
        var calls: [Event.Call] = []
        for case .toolCall(let id, let name, let input) in reply.content {
            calls.append(
                Event.Call(
                    id: "\(turn).\(calls.count)", providerID: id, tool: name, input: input,
                    isIdempotent: tools[name]?.isIdempotent ?? true))
        }
        return calls
    }

    private func failed(_ error: LLMError, turn: Int, attempt: Int) throws(StoreError) -> LoopEnd? {
        let delay = patience.failed(
            error, failures: attempt, hasOtherKey: provider.hasOtherKey, random: Double.random(in: 0...1))
        var message = error.description
        if delay != nil, error.kind == .authentication {
            message +=
                "; the key file in \(settings.folders.secrets) is read again, and the same key is tried for "
                + "\(KeyPatience.total / 1000) s"
        }
        try ledger.commit(
            .llmFailed(
                .init(
                    turn: turn, attempt: attempt, kind: error.kind, message: message,
                    retryAt: delay.map { Clock.wall + $0 }, delay: delay)))
        // What can be tried again is, by the next steps; an interruption is looked into by the next step too.
        guard delay == nil, error.kind != .interrupted else { return nil }
        switch error.kind {
        case .authentication where error.isForbidden:
            return LoopEnd(
                .notPermitted, outcome: "not_permitted",
                reason:
                    "the LLM does not allow the key what it is asked (\(error)); give the key that permission, or put "
                    + "another into the key file in AGENT_SECRETS_DIR \(settings.folders.secrets)")
        case .authentication:
            return LoopEnd(
                .notPermitted, outcome: "not_permitted",
                reason:
                    "the LLM refuses the key, for \(KeyPatience.total / 1000) s now (\(error)); put the right one into "
                    + "the key file in AGENT_SECRETS_DIR \(settings.folders.secrets)")
        case .invalidRequest, .protocolError:
            return LoopEnd(
                .configuration, outcome: "configuration",
                reason: "the LLM refuses the request (\(error)); check AGENT_BASE_URL, AGENT_PROVIDER and AGENT_MODEL "
                    + "(\(model))")
        // The next step makes the conversation shorter.
        case .overflow: return nil
        default:
            return LoopEnd(.tryAgain, outcome: "try_again", reason: "the LLM cannot be used (\(error))")
        }
    }
}

extension LLMRequest {
    /// The input's size in tokens, at 4 bytes a token: good for a hold, not for an account. The provider's count
    /// settles it.
    var estimatedInputTokens: Int {
        var bytes = system.utf8.count
        for tool in tools { bytes += tool.description.utf8.count + tool.inputSchema.text.utf8.count }
        for message in messages { bytes += message.bytes }
        return bytes / 4 + 1
    }
}
