import Agent
import AgentFixtures
import Contracts
import Events
import Glibc
import LinuxSystem
import Testing

/// The file that says who holds a job, and how far it has got.
struct HolderTests {
    let folder: TemporaryFolder
    let database: String

    init() throws {
        folder = try TemporaryFolder()
        database = folder.path + "/job_j.db"
    }

    @Test func `who holds the job is known as long as it lives, and how it ended after that`() throws {
        #expect(Tenure(of: database) == .unknown)
        do {
            let holder = try Holder(of: database, host: "here")
            holder.has(epoch: 3, seq: 41)
            guard case .runs(let record) = Tenure(of: database) else {
                Issue.record("\(Tenure(of: database))")
                return
            }
            #expect((record.pid, record.host, record.epoch, record.seq) == (getpid(), "here", 3, 41))
            holder.ends(LoopEnd(.stopped, outcome: "stopped", reason: "r"))
        }
        guard case .ended(let record) = Tenure(of: database) else {
            Issue.record("\(Tenure(of: database))")
            return
        }
        #expect((record.outcome, record.code, record.seq) == ("stopped", 143, 41))
    }

    @Test func `one that is gone without a word was killed`() throws {
        do { _ = try Holder(of: database, host: "here") }
        guard case .killed = Tenure(of: database) else {
            Issue.record("\(Tenure(of: database))")
            return
        }
        #expect(Tenure(of: database).text.contains("was killed"))
    }

    @Test func `a second one takes the place of the first`() throws {
        let first = try Holder(of: database, host: "first")
        let second = try Holder(of: database, host: "second")
        first.has(epoch: 1, seq: 100)
        second.has(epoch: 2, seq: 7)
        #expect(Holder.last(of: database)?.host == "second" && Holder.last(of: database)?.seq == 7)
        #expect(Holder.lives(of: database))
    }

    @Test(arguments: ["", "pid=1", "\u{0}\u{0}", "pid=x\tsince=1\tepoch=1\tseq=1"])
    func `what a power loss has left of it says nothing`(text: String) throws {
        try folder.write("job_j.holder", text)
        #expect(Holder.last(of: database) == nil)
    }

    @Test func `a long name does not push the numbers out`() throws {
        let holder = try Holder(of: database, host: String(repeating: "h", count: 5000))
        holder.has(epoch: .max, seq: .max)
        let record = try #require(Holder.last(of: database))
        #expect(record.epoch == .max && record.seq == .max && record.host.hasPrefix("hhh"))
    }
}

/// Signs that a job had got further than its journal says.
struct RewindTests {
    /// Writes down what the loop commits and does nothing else.
    private final class Store: CheckpointStore {
        var events: [StoredEvent]
        var epoch: Int64

        init(_ events: [StoredEvent]) { (self.events, epoch) = (events, events.last?.epoch ?? 0) }

        func reserveRoom() throws(StoreError) {}
        func releaseRoom() {}
        func append(_ new: [StoredEvent], state: JobState) throws(StoreError) { events += new }
        func acquire() throws(StoreError) -> Acquisition {
            epoch += 1
            return Acquisition(epoch: epoch, events: events)
        }
    }

    private let folder: TemporaryFolder
    private let folders: Folders

    init() throws {
        folder = try TemporaryFolder()
        folders = try Folders(environment: ["JOB_ID": "j", "WORKSPACE_PATH": folder.path])
        try folders.prepare()
    }

    private func found(
        _ journal: JournalBuilder, previous: Holder.Record? = nil, statement: JournalStatement? = nil
    ) throws -> Event.Restored? {
        let ledger = try Ledger(store: Store(journal.events), version: "test", host: "test")
        return Rewind(folders: folders, asks: true).found(by: ledger, previous: previous, statement: statement)
    }

    private func record(_ epoch: Int64, _ seq: Int64) -> Holder.Record {
        Holder.Record(pid: 1, host: "h", since: 1, epoch: epoch, seq: seq)
    }

    /// Two answers, each with a command.
    private func journal() -> JournalBuilder {
        var journal = JournalBuilder.begun()
        for _ in 0..<2 { journal.step("execute", isIdempotent: false) }
        return journal
    }

    @Test func `a journal that ends where its last process left it is as it should be`() throws {
        let journal = journal()
        #expect(try found(journal) == nil)
        #expect(try found(journal, previous: record(1, Int64(journal.events.count))) == nil)
        // The power went before its file was written back.
        #expect(try found(journal, previous: record(1, 2)) == nil)
    }

    @Test func `a journal that ends before its last process was is rewound`() throws {
        let journal = journal()
        let rewound = try #require(try found(journal, previous: record(1, 99)))
        #expect(rewound.seq == Int64(journal.events.count) && rewound.asks)
        #expect(rewound.reason.contains("event 99"))
        #expect(try found(JournalBuilder(), previous: record(1, 9))?.seq == 0)
    }

    @Test func `a process of an epoch that the journal does not know came after it`() throws {
        #expect(try found(journal(), previous: record(2, 1)) != nil)
    }

    @Test func `a journal that says itself that it was put back is not told so again`() throws {
        var journal = journal()
        journal.takeOver()
        journal.append(.restored(.init(seq: 5, reason: "r", aside: "", asks: true)))
        try folder.write("checkpoints/output_j/7.0.out", "x")
        let statement = JournalStatement(beyond: JournalPlace(epoch: 1, seq: 99), witness: "what NATS holds")
        #expect(try found(journal, previous: record(1, 99), statement: statement) == nil)
        // That process was killed before it put the output away.
        journal.takeOver()
        #expect(try found(journal, statement: statement) == nil)
        journal.step("execute", isIdempotent: false)
        #expect(try found(journal) != nil)
    }

    @Test func `output of a call that the journal does not know is a sign, and is put out of the way`() throws {
        try folder.write("checkpoints/output_j/2.0.out", "known")
        try folder.write("checkpoints/output_j/verify.9.0.out", "no call")
        try folder.write("checkpoints/output_j/jail-proof.out", "no call")
        let journal = journal()
        #expect(try found(journal) == nil)
        try folder.write("checkpoints/output_j/3.1.out", "unknown")
        #expect(try found(journal)?.reason.contains("call 3.1") == true)
        Rewind(folders: folders, asks: true).setAside(strangersTo: journal.state)
        #expect(try found(journal) == nil)
        #expect(try folder.read("checkpoints/output_j/3.1.out.before-\(journal.state.seq)") == "unknown")
        #expect(try folder.read("checkpoints/output_j/2.0.out") == "known")
    }

    @Test func `what was published and is not there is a sign`() throws {
        let place = JournalPlace(epoch: 2, seq: 57)
        let statement = JournalStatement(beyond: place, witness: "what NATS holds")
        #expect(try found(journal(), statement: JournalStatement()) == nil)
        let rewound = try #require(try found(journal(), statement: statement))
        #expect(rewound.reason == "what NATS holds has its event 57" && rewound.beyond == place)
    }

    @Test func `what speaks against the journal is one word, with the furthest that is known`() throws {
        let statement = JournalStatement(beyond: JournalPlace(epoch: 1, seq: 57), witness: "what NATS holds")
        let rewound = try #require(try found(journal(), previous: record(1, 56), statement: statement))
        #expect(rewound.reason.contains("event 56") && rewound.beyond == JournalPlace(epoch: 1, seq: 57))
    }

    @Test func `what comes later is said once, and only if it is further`() {
        let rewind = Rewind(folders: folders, asks: true)
        let statement = JournalStatement(beyond: JournalPlace(epoch: 1, seq: 57), witness: "what NATS holds")
        func later(_ told: JournalPlace?) -> Event.Restored? {
            var state = JobState()
            state.restoredThrough = told
            return rewind.found(by: statement, in: state)
        }
        #expect(later(nil) != nil && later(JournalPlace(epoch: 1, seq: 56)) != nil)
        #expect(later(JournalPlace(epoch: 1, seq: 57)) == nil && later(JournalPlace(epoch: 2, seq: 1)) == nil)
    }

    // MARK: What follows

    @Test func `a rewound job waits for a human and tells the model why`() {
        var journal = journal()
        journal.append(.restored(.init(seq: 9, reason: "the volume is older", aside: "", asks: true)))
        guard case .waitForHuman(let reason) = journal.state.nextStep(limits: Limits(), mayTry: true) else {
            Issue.record("\(journal.state.nextStep(limits: Limits(), mayTry: true))")
            return
        }
        #expect(reason.contains("event 9") && reason.contains("the volume is older"))
        journal.append(.commandReceived(.init(id: "m", kind: .message, text: "Go on.")))
        #expect(journal.state.nextStep(limits: Limits(), mayTry: true) == .ask)
        let told = lastMessage(of: journal)
        #expect(told.contains("earlier than the job had got: the volume is older") && told.contains("Go on."))
    }

    @Test func `without asking it goes on, and the model is told`() {
        var journal = journal()
        journal.append(.restored(.init(seq: 9, reason: "the volume is older", aside: "", asks: false)))
        #expect(journal.state.nextStep(limits: Limits(), mayTry: true) == .ask)
        #expect(lastMessage(of: journal).contains("commands may have run"))
    }

    @Test func `a job that has not begun on this volume is told when it begins`() {
        var journal = JournalBuilder()
        journal.append(.acquired(.init(version: "test", host: "test", resumed: false)))
        journal.append(.restored(.init(seq: 0, reason: "what NATS holds has its event 57", aside: "", asks: true)))
        journal.append(.taskReceived(.init(text: "Do it", source: "AGENT_TASK")))
        #expect("\(journal.state.messages)".contains("event 57"))
    }
}
