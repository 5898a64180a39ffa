package import Events

/// One entry of the journal: what has happened, never what shall be.
///
/// The journal is the job: `JobState` is the fold of its events and of nothing else, and the gateway's log is a
/// projection of them. An event is committed before the world is acted on (`callStarted`, `llmIntent`) or as soon as
/// the world has answered. The form of each body is part of the checkpoint format (docs/CHECKPOINT_FORMAT.md).
package enum Event: Equatable, Sendable {
    /// A process took the job over: everything before belongs to an older epoch.
    case acquired(Acquired)
    /// The journal ends earlier than the job has got: it was put back from a backup or a snapshot, or goes on from an older
    /// state.
    case restored(Restored)
    case taskReceived(TaskReceived)
    case commandReceived(CommandReceived)
    case llmIntent(LLMIntent)
    case llmDone(LLMDone)
    case llmFailed(LLMFailed)
    case callStarted(CallStarted)
    case callFinished(CallFinished)
    case phaseChanged(PhaseChanged)
    /// The loop itself says something to the model.
    case noted(Noted)
    /// The conversation was made shorter.
    case compacted(Compacted)
    case verified(Verified)
    case statusChanged(StatusChanged)
    /// A command that ran in the background is over.
    case backgroundEnded(BackgroundEnded)

    package struct Acquired: Codable, Equatable, Sendable {
        package var version: String
        package var host: String
        /// Whether there was a journal before.
        package var resumed: Bool

        package init(version: String, host: String, resumed: Bool) {
            self.version = version
            self.host = host
            self.resumed = resumed
        }
    }

    package struct Restored: Codable, Equatable, Sendable {
        /// The last event that the journal has.
        package var seq: Int64
        /// How that is known, and where the file is now that was replaced; empty if none was.
        package var reason: String
        package var aside: String
        /// Commands may have run after that event: a human is to look before the job goes on.
        package var asks: Bool
        /// How far the job is known to have got: what is no further needs no word any more. Nil if that is not known.
        package var beyond: JournalPlace?

        package init(seq: Int64, reason: String, aside: String, asks: Bool, beyond: JournalPlace? = nil) {
            self.seq = seq
            self.reason = reason
            self.aside = aside
            self.asks = asks
            self.beyond = beyond
        }
    }

    package struct TaskReceived: Codable, Equatable, Sendable {
        package var text: String
        /// `AGENT_TASK`, `AGENT_TASK_FILE` or the id of a command.
        package var source: String

        package init(text: String, source: String) {
            self.text = text
            self.source = source
        }
    }

    /// A command from outside, recorded before it is acted on.
    package struct CommandReceived: Codable, Equatable, Sendable {
        /// The sender's id; a second command of the same id is dropped.
        package var id: String
        package var kind: Command.Kind
        package var text: String

        package init(id: String, kind: Command.Kind, text: String) {
            self.id = id
            self.kind = kind
            self.text = text
        }
    }

    /// A request is about to be sent.
    package struct LLMIntent: Codable, Equatable, Sendable {
        /// The number of the answer it asks for, from 1, and the number of the try, from 1.
        package var turn: Int
        package var attempt: Int
        /// Tokens held against the budget until the answer settles them: the question as it was estimated, and the longest
        /// answer that was asked for.
        package var hold: Int
        /// Of them, the question's; nil in journals of version 3 and before, as the next.
        package var input: Int?
        /// What the hold would cost in US dollars; nil if the price is unknown.
        package var cost: Double?

        package init(turn: Int, attempt: Int, hold: Int, input: Int? = nil, cost: Double? = nil) {
            self.turn = turn
            self.attempt = attempt
            self.hold = hold
            self.input = input
            self.cost = cost
        }
    }

    package struct LLMDone: Codable, Equatable, Sendable {
        package var turn: Int
        package var attempt: Int
        package var content: [Block]
        /// The tool calls in `content`, in order, all as intents.
        package var calls: [Call]
        package var stop: StopReason
        package var usage: TokenUsage?
        /// Tokens that the answer counts for because the provider did not count it: its hold. Nil if it did.
        package var estimate: Int?
        /// US dollars, of the hold if there is an estimate; nil if the price is unknown.
        package var cost: Double?
        package var model: String?
        package var requestID: String?
        /// Milliseconds from request to whole answer.
        package var duration: Int64

        package init(
            turn: Int, attempt: Int, content: [Block], calls: [Call], stop: StopReason, usage: TokenUsage? = nil,
            estimate: Int? = nil, cost: Double? = nil, model: String? = nil, requestID: String? = nil, duration: Int64
        ) {
            self.turn = turn
            self.attempt = attempt
            self.content = content
            self.calls = calls
            self.stop = stop
            self.usage = usage
            self.estimate = estimate
            self.cost = cost
            self.model = model
            self.requestID = requestID
            self.duration = duration
        }
    }

    package struct LLMFailed: Codable, Equatable, Sendable {
        package var turn: Int
        package var attempt: Int
        package var kind: LLMError.Kind
        package var message: String
        /// When the next try is due (milliseconds since 1970, for people); nil if there is none.
        package var retryAt: Int64?
        /// How long the wait is, in milliseconds: what `retryAt` is worth by another clock. Nil in older journals.
        package var delay: Int64?

        package init(
            turn: Int, attempt: Int, kind: LLMError.Kind, message: String, retryAt: Int64? = nil, delay: Int64? = nil
        ) {
            self.turn = turn
            self.attempt = attempt
            self.kind = kind
            self.message = message
            self.retryAt = retryAt
            self.delay = delay
        }
    }

    /// A tool call of an answer.
    package struct Call: Codable, Equatable, Sendable {
        /// Ours, `<turn>.<position>`: unique in the job. The provider's ids repeat over turns.
        package var id: String
        package var providerID: String
        package var tool: String
        package var input: JSON
        package var isIdempotent: Bool

        package init(id: String, providerID: String, tool: String, input: JSON, isIdempotent: Bool) {
            self.id = id
            self.providerID = providerID
            self.tool = tool
            self.input = input
            self.isIdempotent = isIdempotent
        }
    }

    /// The call is about to be run.
    package struct CallStarted: Codable, Equatable, Sendable {
        package var call: String
        package var attempt: Int

        package init(call: String, attempt: Int) {
            self.call = call
            self.attempt = attempt
        }
    }

    package struct CallFinished: Codable, Equatable, Sendable {
        package enum Outcome: String, Codable, Sendable {
            /// It ran and did what it should, or ran and says what failed.
            case done, failed
            /// It was running when the process died or was stopped.
            case interrupted
            /// It was not run: unknown, not offered in this phase, or its input is wrong.
            case refused
        }
        package var call: String
        package var outcome: Outcome
        /// What the model is told.
        package var content: String
        package var effects: [Effect]
        /// Facts for the log: exit code, counts, the spool's path.
        package var facts: [String: JSON]
        /// Milliseconds.
        package var duration: Int64

        package init(
            call: String, outcome: Outcome, content: String, effects: [Effect], facts: [String: JSON], duration: Int64
        ) {
            self.call = call
            self.outcome = outcome
            self.content = content
            self.effects = effects
            self.facts = facts
            self.duration = duration
        }
    }

    package struct PhaseChanged: Codable, Equatable, Sendable {
        package var from: Phase
        package var to: Phase
        /// The number of the new phase, from 1.
        package var number: Int
        package var reason: String
        /// What the model is told about it.
        package var brief: String

        package init(from: Phase, to: Phase, number: Int, reason: String, brief: String) {
            self.from = from
            self.to = to
            self.number = number
            self.reason = reason
            self.brief = brief
        }
    }

    package struct Noted: Codable, Equatable, Sendable {
        package enum Kind: String, Codable, Sendable {
            /// The model did not call a tool, or its answer was cut.
            case reminder
            /// No progress for a while.
            case stall
        }
        package var kind: Kind
        package var text: String

        package init(kind: Kind, text: String) {
            self.kind = kind
            self.text = text
        }
    }

    /// What the model is shown from now on in the place of the conversation's beginning.
    package struct Compacted: Codable, Equatable, Sendable {
        /// Messages of the conversation as it was that are no longer shown.
        package var dropped: Int
        /// Answers of the job that are in none of the messages any more.
        package var answers: Int
        /// How long the conversation was, in tokens, as far as is known.
        package var tokens: Int
        /// What is kept word for word, what was done in lines, and where the job stands.
        package var words: [String]
        package var digest: [String]
        package var brief: String

        package init(dropped: Int, answers: Int, tokens: Int, words: [String], digest: [String], brief: String) {
            self.dropped = dropped
            self.answers = answers
            self.tokens = tokens
            self.words = words
            self.digest = digest
            self.brief = brief
        }
    }

    package struct Verified: Codable, Equatable, Sendable {
        package var passed: Bool
        /// Each thing that was checked, in words, with its result.
        package var report: [String]
        /// Whether a deliverable that was claimed is not there; nil in journals of version 3 and before.
        package var missedDeliverable: Bool?

        package init(passed: Bool, report: [String], missedDeliverable: Bool? = nil) {
            self.passed = passed
            self.report = report
            self.missedDeliverable = missedDeliverable
        }
    }

    package struct BackgroundEnded: Codable, Equatable, Sendable {
        package enum How: String, Codable, Sendable {
            /// By itself, or at a limit.
            case finished
            /// By the model's wish.
            case killed
            /// With its phase, with the job, or because this process was told to stop.
            case phase, job, stopped
            /// With its process, which was killed.
            case lost
            /// To make room: the pod had no process or memory left to start another command.
            case scarcity
        }
        /// The call that started it.
        package var call: String
        package var how: How
        /// What the model is told; nothing if empty.
        package var content: String
        /// Facts for the log.
        package var facts: [String: JSON]

        package init(call: String, how: How, content: String, facts: [String: JSON] = [:]) {
            self.call = call
            self.how = how
            self.content = content
            self.facts = facts
        }
    }

    package struct StatusChanged: Codable, Equatable, Sendable {
        package enum Cause: String, Codable, Sendable {
            /// The checkpoint's volume is full. The next process that finds room there goes on by itself.
            case diskFull = "disk_full"
        }
        package var status: Status
        package var cause: Cause?

        package init(status: Status, cause: Cause? = nil) {
            self.status = status
            self.cause = cause
        }
    }
}

/// What a tool call changes in the job's own state, in the transaction of its result.
package enum Effect: Codable, Equatable, Sendable {
    case planWritten(String)
    case todosStaged([Todo])
    case todoUpdated(id: String, status: Todo.Status, evidence: String?)
    case tacticalRequested
    case phaseEnded(reason: String)
    case questionAsked(String)
    case completionClaimed(summary: String, deliverables: [String])
    /// A file of the project tree was written.
    case artifactChanged(path: String)
    /// A command runs in the background, under its call's id, until a `backgroundEnded` or the end of its process.
    case backgroundStarted(id: String, command: String)
}
