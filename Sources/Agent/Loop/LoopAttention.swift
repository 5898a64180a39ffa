package import Events

/// The loop's attention with the commands that it took in.
package protocol LoopAttention: Attention {
    /// Commands that have come since the last call, in order. At most 64 are kept; further ones stay in the pipe.
    func takeCommands() -> [Event.CommandReceived]
    /// What the gateway has said of the journal since the last call.
    func takeStatement() -> JournalStatement?
}

extension LoopAttention {
    package func takeStatement() -> JournalStatement? { nil }
}

/// Where pieces of a running step go for display. They may be lost.
package protocol LiveDisplay: AnyObject {
    func show(_ delta: LLMDelta)
}
