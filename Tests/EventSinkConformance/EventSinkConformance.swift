package import Events

/// What a sink writes to, so that the suite can look at what has arrived.
package protocol SinkMedium {
    /// A new sink on the medium, as after a restart.
    func sink() throws -> any EventSink
    /// The numbers of the records that have arrived, in order.
    func taken() throws -> [Int64]
    /// Whether a record that is given again after a crash can be told and left out.
    var removesRepetitions: Bool { get }
}

/// What every `EventSink` must do.
package struct EventSinkConformance {
    private let medium: any SinkMedium

    package init(_ medium: any SinkMedium) { self.medium = medium }

    /// A broken promise.
    package struct Violation: Error, CustomStringConvertible {
        package let description: String
    }

    /// Runs the suite on an empty medium.
    package func run() throws {
        var sink = try medium.sink()
        try expect(!sink.name.isEmpty, "it has no name")
        try expect(sink.lastTaken() == .nothing, "an empty medium holds \(String(describing: sink.lastTaken()))")
        try takesNothing(&sink)
        try takesAll(&sink)
        try takesAGap(&sink)
        try goesOnAfterARestart(name: sink.name)
    }

    private func expect(_ condition: Bool, _ what: String) throws {
        if !condition { throw Violation(description: what) }
    }

    /// Records in their wire form; every third has an event.
    package static func deliveries(_ range: ClosedRange<Int64>, job: String = "j") -> [Delivery] {
        range.map { seq in
            let record = LogRecord(
                time: seq, stream: .journal, body: "record \(seq) with \u{1F980}, \"quotes\" and \\",
                attributes: ["event.name": "test", "number": .int(seq)])
            let event = CloudEvent(seq: seq, type: "agent.test", time: seq, data: ["number": .int(seq)])
            return Delivery(
                seq: seq, record: record.json(job: job, seq: seq).text,
                event: seq % 3 == 0 ? event.json(job: job).text : nil,
                journal: JournalCursor(seq: seq + 100, mark: "1:\(seq):test"))
        }
    }

    /// Gives the deliveries until all are taken, as the gateway does.
    package static func give(_ deliveries: [Delivery], to sink: inout any EventSink) throws {
        var rest = deliveries[...]
        var failures = 0
        while let first = rest.first {
            do {
                let taken = try sink.deliver(Array(rest))
                guard taken >= first.seq - 1, taken <= rest.last?.seq ?? 0 else {
                    throw Violation(description: "it says \(taken) when it was given \(first.seq) and on")
                }
                rest = rest.drop { $0.seq <= taken }
            } catch let error as SinkError {
                failures += 1
                if failures > 100 { throw Violation(description: "it takes nothing: \(error)") }
            }
        }
    }

    private func takesNothing(_ sink: inout any EventSink) throws {
        _ = try sink.deliver([])
        try expect(try medium.taken().isEmpty, "an empty batch has left something")
    }

    private func takesAll(_ sink: inout any EventSink) throws {
        try Self.give(Self.deliveries(1...1), to: &sink)
        try Self.give(Self.deliveries(2...400), to: &sink)
        try expect(try medium.taken() == Array(1...400), "not all of 400 records arrived once and in order")
    }

    private func takesAGap(_ sink: inout any EventSink) throws {
        let gap = LogRecord(
            time: 1, severity: .warn, stream: .gateway, body: "record 450 stands for 401 to 450",
            attributes: ["event.name": "gap", "gap.from": 401, "gap.to": 450])
        try Self.give(
            [Delivery(seq: 450, record: gap.json(job: "j", seq: 450).text)] + Self.deliveries(451...460), to: &sink)
        try expect(try medium.taken().suffix(11) == Array(450...460), "a gap record did not arrive in its place")
    }

    private func goesOnAfterARestart(name: String) throws {
        var sink = try medium.sink()
        try expect(sink.name == name, "the name changed: \(sink.name)")
        // What was taken just before a crash is given again.
        try Self.give(Self.deliveries(455...470), to: &sink)
        let taken = try medium.taken()
        let expected = Array(1...400) + Array(450...460) as [Int64]
        if medium.removesRepetitions {
            try expect(
                taken == expected + Array(461...470 as ClosedRange<Int64>),
                "a repetition was not left out: \(taken.suffix(30))")
        } else {
            try expect(
                taken == expected + Array(455...470 as ClosedRange<Int64>),
                "what was given again did not arrive: \(taken.suffix(30))")
        }
    }
}
