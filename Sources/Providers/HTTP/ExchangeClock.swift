import Agent
import LinuxSystem

/// What has come with the bytes of an answer.
package enum Reception: Equatable, Sendable {
    /// Nothing but pings, comments and parts of lines.
    case idle
    /// A piece of the answer.
    case progress
    /// The answer is whole; only what is said about it may still follow.
    case answered
    /// Nothing more is wanted.
    case enough
}

/// The deadlines of one exchange as it goes on.
struct ExchangeClock {
    private let deadlines: HTTPDeadlines
    private let start = Clock.monotonic
    private var lastByte: Int64?
    private var lastProgress: Int64
    private var answered: Int64?

    init(_ deadlines: HTTPDeadlines) {
        self.deadlines = deadlines
        lastProgress = start
    }

    /// Bytes have come, of head or body.
    mutating func noteBytes() { lastByte = Clock.monotonic }

    mutating func note(_ reception: Reception) {
        switch reception {
        case .idle: break
        case .progress: lastProgress = Clock.monotonic
        case .answered, .enough: answered = answered ?? Clock.monotonic
        }
    }

    /// The soonest deadline.
    var next: Deadline {
        if let answered { return Deadline(at: answered + deadlines.trailer) }
        guard let lastByte else { return Deadline(at: start + deadlines.firstByte) }
        return Deadline(at: min(lastByte + deadlines.byteIdle, lastProgress + deadlines.progressIdle))
    }

    /// True if the answer is whole and the wait for a trailer is over.
    var isTrailerOver: Bool { answered != nil && next.hasPassed }

    /// Which deadline has passed, if one has.
    var failure: LLMError? {
        guard next.hasPassed, answered == nil else { return nil }
        guard let lastByte else {
            return LLMError(.timeout, "no answer within \(deadlines.firstByte) ms")
        }
        return Clock.monotonic - lastByte >= deadlines.byteIdle
            ? LLMError(.timeout, "no byte of the answer for \(deadlines.byteIdle) ms")
            : LLMError(.timeout, "nothing but pings for \(deadlines.progressIdle) ms")
    }
}
