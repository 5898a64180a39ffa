import Agent
import AgentFixtures
import Events
import Testing

struct AuditTests {
    /// A job with parallel calls, a kill, a resumption and an end.
    private func whole() -> [StoredEvent] {
        var journal = JournalBuilder.begun()
        journal.step("plan_write")
        journal.enter(.tactical, number: 2)
        journal.answer([("read_file", [:], true), ("execute", [:], false)])
        journal.start("2.0")
        journal.finish("2.0")
        journal.start("2.1")
        journal.takeOver()
        journal.finish("2.1", .interrupted)
        journal.intend()
        journal.takeOver()
        journal.answer([("read_file", [:], true), ("nothing", [:], true)])
        journal.start("3.0")
        journal.takeOver()
        journal.start("3.0", attempt: 2)
        journal.finish("3.0")
        journal.finish("3.1", .refused)
        journal.enter(.strategic, number: 3)
        journal.step(
            "job_complete", effects: [.completionClaimed(summary: "done", deliverables: [])])
        journal.enter(.verify, number: 3)
        journal.append(.verified(.init(passed: true, report: ["all"])))
        return journal.events
    }

    @Test func `a job that was killed and resumed has no violation, at any moment of it`() {
        let events = whole()
        for count in 0...events.count {
            #expect(Audit(Array(events.prefix(count))).violations == [], "after \(count) events")
        }
    }

    @Test func `each event that is left out, repeated or moved is found`() {
        let events = whole()
        func renumbered(_ events: [StoredEvent]) -> [StoredEvent] {
            events.enumerated().map {
                StoredEvent(seq: Int64($0.offset + 1), epoch: $0.element.epoch, time: 0, event: $0.element.event)
            }
        }
        for (index, stored) in events.enumerated() {
            #expect(
                !Audit(Array(events[..<index] + events[(index + 1)...])).violations.isEmpty || index == events.count - 1
            )
            switch stored.event {
            // These may be there any number of times, or be missing, as far as the rules go.
            case .taskReceived, .noted, .verified, .llmIntent, .callStarted, .llmFailed, .phaseChanged: break
            default:
                let twice = events[...index] + events[index...]
                #expect(!Audit(renumbered(Array(twice))).violations.isEmpty, "\(stored.event.kind) \(index) twice")
            }
        }
    }

    @Test func `what is not idempotent never runs twice`() {
        var journal = JournalBuilder.begun()
        journal.answer([("execute", [:], false)])
        journal.start("1.0")
        journal.takeOver()
        journal.start("1.0", attempt: 2)
        #expect(Audit(journal.events).violations == ["event 8: call 1.0, which is not idempotent, runs twice"])
    }

    @Test func `the model is not asked while a call has no result`() {
        var journal = JournalBuilder.begun()
        journal.answer([("execute", [:], false)])
        journal.start("1.0")
        journal.intend()
        #expect(Audit(journal.events).violations == ["event 7: the model is asked while call 1.0 has no result"])
    }

    @Test func `nothing goes on after the end`() {
        var journal = JournalBuilder.begun()
        journal.append(.statusChanged(.init(status: .finished(.failed, reason: "no"))))
        journal.intend()
        #expect(Audit(journal.events).violations == ["event 5: the job had ended before"])
    }

    @Test func `a background command ends once and before its phase`() {
        var journal = JournalBuilder.begun()
        journal.step("execute", effects: [.backgroundStarted(id: "1.0", command: "c")], isIdempotent: false)
        let started = journal
        journal.append(.backgroundEnded(.init(call: "1.0", how: .phase, content: "")))
        journal.enter(.tactical, number: 2)
        #expect(Audit(journal.events).violations == [])
        journal.append(.backgroundEnded(.init(call: "1.0", how: .phase, content: "")))
        #expect(Audit(journal.events).violations == ["event 10: background command 1.0 was not running"])
        journal = started
        journal.enter(.tactical, number: 2)
        #expect(Audit(journal.events).violations == ["event 8: a phase ends while 1.0 runs on"])
    }

    @Test func `a phase has legal ways out only`() {
        var journal = JournalBuilder.begun()
        journal.enter(.tactical, number: 2)
        journal.enter(.verify, number: 2)
        #expect(Audit(journal.events).violations == ["event 5: no way leads from TACTICAL to VERIFY"])
    }
}

struct HistoryTests {
    @Test func `a step has its cost, its calls and how they ended`() throws {
        var journal = JournalBuilder.begun()
        journal.intend()
        journal.append(.llmFailed(.init(turn: 1, attempt: 1, kind: .overloaded, message: "busy")))
        journal.intend()
        journal.takeOver()
        journal.answer([("execute", ["command": "make\n\u{1b}[31mtest"], false), ("read_file", ["path": "a"], true)])
        journal.start("1.0")
        let history = History(folding: journal.events)
        #expect(history.steps.map(\.outcome) == ["failed: overloaded: busy", "lost", "answered"])
        let last = try #require(history.steps.last)
        #expect(last.calls.map(\.outcome) == ["running", "waiting"])
        #expect(last.usage == TokenUsage(input: 100, output: 10))
        #expect(last.seqs == 8...10)
        #expect(history.text.contains("1.0  running  $ make  [31mtest"))
        #expect(!history.text.contains("\u{1b}"))
        #expect(history.json.array?.count == 3)
    }

    @Test func `nothing in a result ends its fence in Markdown`() {
        var journal = JournalBuilder.begun()
        journal.answer([("execute", ["command": "cat"], false)])
        journal.start("1.0")
        journal.finish("1.0", content: "````\n# not a heading\n````")
        let text = Trajectory.markdown(job: "j", journal.events)
        #expect(text.contains("`````\n````\n# not a heading\n````\n`````"))
    }
}
