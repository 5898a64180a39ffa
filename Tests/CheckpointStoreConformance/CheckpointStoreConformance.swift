package import Agent
import AgentFixtures
import Events

/// What every `CheckpointStore` must do. `make` gives a new connection to one and the same job each time.
package struct CheckpointStoreConformance {
    private let make: () throws -> any CheckpointStore

    package init(_ make: @escaping () throws -> any CheckpointStore) { self.make = make }

    /// A broken promise.
    package struct Violation: Error, CustomStringConvertible {
        package let description: String
    }

    /// Runs the suite on a fresh job.
    package func run() throws {
        try beginsEmpty()
        try givesBackWhatWasAppended()
        try refusesGaps()
        try fencesTheOlderOwner()
    }

    private func expect(_ condition: Bool, _ what: String) throws {
        if !condition { throw Violation(description: what) }
    }

    private func note(_ seq: Int64, _ epoch: Int64, _ text: String) -> StoredEvent {
        StoredEvent(seq: seq, epoch: epoch, time: seq * 10, event: .noted(.init(kind: .reminder, text: text)))
    }

    private func beginsEmpty() throws {
        let acquisition = try make().acquire()
        try expect(acquisition.events.isEmpty, "a new job has events")
        try expect(acquisition.epoch == 1, "the first owner has epoch \(acquisition.epoch)")
    }

    private func givesBackWhatWasAppended() throws {
        let store = try make()
        let epoch = try store.acquire().epoch
        let events = [note(1, epoch, "a"), note(2, epoch, "ünïcode \u{1F980} \0 \"quoted\"\n"), note(3, epoch, "")]
        try store.append([events[0]], state: JobState(folding: [events[0]]))
        try store.append(Array(events[1...]), state: JobState(folding: events))
        let next = try make().acquire()
        try expect(next.events == events, "the journal came back changed: \(next.events)")
        try expect(next.epoch == epoch + 1, "the epoch did not rise by one")
    }

    private func refusesGaps() throws {
        let store = try make()
        let acquisition = try store.acquire()
        let last = acquisition.events.last?.seq ?? 0
        for wrong in [last, last + 2] {
            let event = note(wrong, acquisition.epoch, "wrong")
            do {
                try store.append([event], state: JobState(folding: acquisition.events + [event]))
                throw Violation(description: "event \(wrong) was accepted after \(last)")
            } catch is StoreError {}
        }
        try expect(try make().acquire().events == acquisition.events, "a refused event was stored")
    }

    private func fencesTheOlderOwner() throws {
        let older = try make()
        let first = try older.acquire()
        let newer = try make()
        let second = try newer.acquire()
        let seq = (second.events.last?.seq ?? 0) + 1
        let late = note(seq, first.epoch, "late")
        do {
            try older.append([late], state: JobState(folding: second.events + [late]))
            throw Violation(description: "an owner that was superseded committed")
        } catch let error as StoreError {
            try expect(error.kind == .fenced, "it was refused with \(error.kind), not fenced")
        }
        let forged = note(seq, second.epoch, "forged")
        do {
            try older.append([forged], state: JobState(folding: second.events + [forged]))
            throw Violation(description: "an owner committed with an epoch that is not its own")
        } catch is StoreError {}
        let good = note(seq, second.epoch, "good")
        try newer.append([good], state: JobState(folding: second.events + [good]))
        try expect(try make().acquire().events == second.events + [good], "the newer owner's event is not there")
    }
}
