import Agent
import AgentFixtures
import Events
import Gateway
import Glibc
import LinuxSystem
import Testing

struct KillTests {
    private static let journalLength = 6000

    /// The same long journal in every process.
    private static func journal() -> MemoryJournal {
        let journal = MemoryJournal()
        journal.append((1...journalLength).map { MemoryJournal.note("event \($0)") })
        return journal
    }

    /// Ships the journal until a SIGKILL comes, at an instant that nobody chose.
    private static func shipUntilKilled(_ path: String) throws {
        let timer = try Pipe()
        let pid = getpid()
        let delay = UInt32.random(in: 2000...60000)
        var thread = pthread_t()
        let sleeper: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { argument in
            usleep(UInt32(UInt(bitPattern: argument)))
            kill(getpid(), SIGKILL)
            return nil
        }
        pthread_create(&thread, nil, sleeper, UnsafeMutableRawPointer(bitPattern: UInt(delay)))
        let pipeline = try Pipeline(
            GatewayConfiguration(job: "j", spoolPath: path), journal: journal(), sinks: [Collector().plan()],
            commands: nil, health: Health())
        while getpid() == pid { try pipeline.round(until: .after(milliseconds: 1), also: timer.reader.number) }
    }

    @Test func `whenever the gateway is killed, each journal event is in the spool once and in order`() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/spool_j.db"
        for _ in 0..<12 {
            await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
                try KillTests.shipUntilKilled(path)
            }
        }
        let collector = Collector()
        let pipeline = try Pipeline(
            GatewayConfiguration(job: "j", spoolPath: path), journal: Self.journal(), sinks: [collector.plan("all")],
            commands: nil, health: Health())
        #expect(try pipeline.finish(by: .after(milliseconds: 120_000)).isEmpty)
        #expect(collector.seqs == Array(1...Int64(Self.journalLength)))
        let events = collector.records.compactMap { $0["attributes"]?["journal.seq"]?.int }
        #expect(events == Array(1...Self.journalLength))
    }
}
