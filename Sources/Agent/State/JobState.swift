package import Events

/// What has been spent, over all epochs.
package struct Spent: Codable, Equatable, Sendable {
    /// Answers of the model.
    package var steps = 0
    package var inputTokens = 0
    package var outputTokens = 0
    /// Tokens of requests whose answer was lost: counted at their hold, since the provider may have charged them.
    package var lostTokens = 0
    /// Tokens of answers that the provider did not count: at their hold, too.
    package var estimatedTokens = 0
    /// US dollars of the answers whose price is known, lost and estimated ones included.
    package var cost: Double = 0
    /// Of them, those of lost and estimated answers: what was charged may be less.
    package var estimatedCost: Double = 0
    /// Whether an answer had no known price: `cost` is then a lower bound.
    package var hasUnknownCost = false
    /// Milliseconds in which a process was at work on the job; time between processes does not count.
    package var wall: Int64 = 0

    package var tokens: Int { inputTokens + outputTokens + lostTokens + estimatedTokens }

    /// As it stands in the checkpoint's `head`, in `status --json` and in events. `cost_usd` is null if a price is unknown.
    package var json: JSON {
        [
            "steps": .int(Int64(steps)), "input_tokens": .int(Int64(inputTokens)),
            "output_tokens": .int(Int64(outputTokens)), "lost_tokens": .int(Int64(lostTokens)),
            "estimated_tokens": .int(Int64(estimatedTokens)), "cost_usd": hasUnknownCost ? .null : .double(cost),
            "estimated_cost_usd": hasUnknownCost ? .null : .double(estimatedCost), "wall_ms": .int(wall),
        ]
    }
}

/// A tool call of the last answer, on its way from intent to result.
package struct OpenCall: Codable, Equatable, Sendable {
    package enum State: String, Codable, Sendable {
        case intent, started, finished
    }
    package var call: Event.Call
    package var state: State = .intent
    package var attempt = 0
    /// The epoch that started it.
    package var startedBy: Int64 = 0
    /// When, in milliseconds since 1970.
    package var startedAt: Int64 = 0
    package var result: String?
    /// How it ended; nil as long as it has not.
    package var outcome: Event.CallFinished.Outcome?
}

/// The job as it stands: the fold of its journal, and nothing besides.
///
/// A pure value. Two processes that fold the same journal have the same state, whatever they were doing before. What is
/// encoded of it in a snapshot has the version `formatVersion`.
package struct JobState: Codable, Equatable, Sendable {
    /// Raised whenever a field comes, goes or changes its meaning: a snapshot of another version is not used.
    package static let formatVersion: Int64 = 3

    package var seq: Int64 = 0
    package var epoch: Int64 = 0
    package var time: Int64 = 0

    package var task: String?
    package var status: Status = .waitingForTask
    /// What a paused job goes back to when it is resumed.
    package var pausedFrom: Status = .running
    /// What a job that was stopped because its disk was full goes back to when there is room; nil if it was not.
    package var stoppedFrom: Status?
    package var phase: Phase = .strategic
    /// From 1.
    package var phaseNumber = 1
    package var plan = ""
    package var todos: [Todo] = []

    /// The conversation so far. The last message is a user's whenever a request is due, except after a pause.
    package var messages: [Message] = []
    /// The calls of the last answer; empty once all their results are in `messages`.
    package var calls: [OpenCall] = []
    /// Commands that run in the background, as far as the journal knows.
    package var background: [Background] = []
    /// What the model is to be told as soon as no call is open.
    package var notes: [String] = []
    /// A request that was sent and has no answer yet.
    package var openIntent: Event.LLMIntent?
    /// Tries of the current turn that failed in a row, and when the first of them failed.
    package var failures = 0
    package var failingSince: Int64?
    /// How long the wait of `backoff` was meant to be, in milliseconds; 0 if a new process need not wait.
    package var backoffDelay: Int64 = 0

    package var spent = Spent()
    package var stepsInPhase = 0
    /// Calls since a todo or an artifact last changed, in this phase, and whether the model was told of the stall.
    package var callsWithoutProgress = 0
    package var wasToldOfStall = false
    /// Why the last answer ended.
    package var lastStop: StopReason?
    /// Tokens of the last request with its answer, by the provider's count; nil if it did not say.
    package var answeredTokens: Int?
    /// The conversation no longer fitted when the model was last asked, and has not been compacted since.
    package var hasOverflowed = false
    /// How often it was compacted since the model last answered; how many answers it has lost in all, and what stands for
    /// them (`Compaction.swift`).
    package var compactions = 0
    package var compactedAnswers = 0
    package var words: [String] = []
    package var digest: [String] = []
    /// Answers in a row without a tool call.
    package var answersWithoutCall = 0

    /// What the last answer's calls asked the loop for.
    package var wantsTactical = false
    package var endedPhase: String?
    package var claim: Claim?
    package var hasNewInput = false
    /// A message of the user's is in no request yet: no claim holds before the model has read it.
    package var hasUnreadInput = false
    /// How far the job had got by what the journal itself says of having been put back: nothing before needs a word.
    package var restoredThrough: JournalPlace?
    /// The steps that it had when it was last put back: output of a later step is of before, and has been told.
    package var restoredAtStep: Int?
    /// The last verification missed a deliverable.
    package var missedDeliverable = false

    package var seenCommands: Set<String> = []
    package var callCounts = CallCounts()

    package init() {}

    /// A call of the same answer that stands before this one and did not succeed; nil if there is none. What was written
    /// behind it was written before anybody knew.
    func failedCall(before id: String) -> OpenCall? {
        calls.prefix { $0.call.id != id }.first { $0.outcome == .failed || $0.outcome == .interrupted }
    }

    /// A command in the background: its call's id, its beginning, and the epoch that it belongs to.
    package struct Background: Codable, Equatable, Sendable {
        package var id: String
        package var command: String
        package var epoch: Int64

        package init(id: String, command: String, epoch: Int64) {
            self.id = id
            self.command = command
            self.epoch = epoch
        }
    }

    /// What `job_complete` claimed.
    package struct Claim: Codable, Equatable, Sendable {
        package var summary: String
        package var deliverables: [String]
    }

    /// How the calls of the job ended.
    package struct CallCounts: Codable, Equatable, Sendable {
        /// Times that a call was started.
        package var run = 0
        /// Calls that ran to their end.
        package var ended = 0
        /// Of those, the ones that the present process took from the journal instead of running them again.
        package var reused = 0
        /// Calls that were running when a process ended.
        package var interrupted = 0
        /// Calls that were refused.
        package var refused = 0

        package init(run: Int = 0, ended: Int = 0, reused: Int = 0, interrupted: Int = 0, refused: Int = 0) {
            self.run = run
            self.ended = ended
            self.reused = reused
            self.interrupted = interrupted
            self.refused = refused
        }
    }
}
