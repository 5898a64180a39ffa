import Agent
import Events
import Glibc

extension LLMProviderConformance {
    /// Deadlines and interruptions. The deadlines are short ones; no test looks at a clock.
    static let waits: [Point] = [
        Point("a server that never answers runs into the deadline of the first byte") { dialect in
            let trial = try Trial(dialect, [.stall], time: ShortTimes(firstByte: 200))
            try trial.requireError(.timeout)
            try require(trial.error?.isRetryable == true, "it is not tried again")
        },
        Point("a stream that stalls runs into the idle deadline") { dialect in
            try Trial(
                dialect, [.send(HTTPText.chunkedHead + HTTPText.chunk(Array(dialect.events[0].utf8))), .stall],
                time: ShortTimes(byteIdle: 200)
            ).requireError(.timeout)
        },
        Point("pings do not keep a stream alive that brings nothing else") { dialect in
            try Trial(
                dialect,
                [
                    .send(HTTPText.openHead + Array(dialect.events[0].utf8)),
                    .sendForever(Array((dialect.ping + ": comment\n\n").utf8), milliseconds: 20),
                ],
                time: ShortTimes(progressIdle: 300)
            ).requireError(.timeout)
        },
        Point("an error whose body stalls is a timeout, not a hang") { dialect in
            try Trial(
                dialect, [.send(HTTPText.head("500 Oh", ["content-length: 100"])), .stall],
                time: ShortTimes(byteIdle: 200)
            ).requireError(.timeout)
        },
        Point("an interruption ends a wait for the first byte") { dialect in
            try interrupted(dialect, by: .stop, while: [.stall])
        },
        Point("an interruption ends a stream") { dialect in
            let ping = Array(dialect.ping.utf8)
            try interrupted(
                dialect, by: .cancel, while: [.send(HTTPText.openHead), .sendForever(ping, milliseconds: 5)])
        },
        Point("an interruption that is there already sends nothing") { dialect in
            var ends: [Int32] = [-1, -1]
            try require(pipe(&ends) == 0, "no pipe")
            defer { for end in ends { close(end) } }
            _ = write(ends[1], "!", 1)
            let attention = CountingAttention()
            attention.descriptors = [ends[0]]
            attention.interruption = .stop
            let trial = try Trial(dialect, [.stall], attention: attention)
            try require(trial.error?.kind == .interrupted, "\(String(describing: trial.error))")
            try require(trial.requests.isEmpty, "a request was sent")
        },
        Point("a wait attends at least every second, also when nothing happens") { dialect in
            let short = try Trial(dialect, [.stall], time: ShortTimes(firstByte: 1500))
            let long = try Trial(dialect, [.stall], time: ShortTimes(firstByte: 4500))
            try require(
                long.attended >= short.attended + 2,
                "attended \(long.attended) times, \(short.attended) in a short wait")
        },
    ]

    /// The server's bell is what the attention looks after: the interruption comes once the request is there.
    private static func interrupted(
        _ dialect: any ProviderDialect, by interruption: Interruption, while steps: [LoopbackServer.Step]
    ) throws {
        var ends: [Int32] = [-1, -1]
        try require(pipe(&ends) == 0, "no pipe")
        defer { for end in ends { close(end) } }
        let attention = CountingAttention()
        attention.descriptors = [ends[0], -1]
        attention.interruption = interruption
        let trial = try Trial(dialect, steps, attention: attention, bell: ends[1])
        try trial.requireError(.interrupted)
        try require(trial.error?.isRetryable == false, "an interruption is tried again")
    }
}
