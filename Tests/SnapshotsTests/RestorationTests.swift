import Agent
import AgentFixtures
import Glibc
import LinuxSystem
import Snapshots
import Stores
import Testing

@Suite(.timeLimit(.minutes(2))) struct RestorationTests {
    private let scene: SnapshotScene
    private let old: Volume
    private let new: Volume

    init() throws {
        scene = try SnapshotScene()
        old = try scene.volume("old")
        new = try scene.volume("new")
    }

    @discardableResult
    private func snapshot(of volume: Volume, final: Bool = false) throws -> CheckpointPosition {
        let position = try volume.workAsOwner()
        try volume.library.take(of: volume.checkpoint, reason: "test", final: final)
        return position
    }

    private func restored(_ outcome: Restoration.Outcome) throws -> (CheckpointPosition, hasGoneOn: Bool) {
        guard case .restored(let manifest, let hasGoneOn) = outcome else { throw Other(outcome: outcome) }
        return (manifest.position, hasGoneOn)
    }

    private struct Other: Error { let outcome: Restoration.Outcome }

    @Test func `a job that nobody has begun has nothing to restore`() throws {
        #expect(try new.restore() == .nothing)
        #expect(try new.files == [])
    }

    @Test func `the newest of several is restored, and nothing is left of the way`() throws {
        for _ in 1...2 { try snapshot(of: old) }
        let newest = try snapshot(of: old, final: true)
        let (position, hasGoneOn) = try restored(new.restore())
        #expect(position == newest && !hasGoneOn)
        #expect(try new.position() == newest, "what was stopped for good goes on without a word")
        let passing = [".fetched", ".restored", ".new", "~"]
        #expect(try new.files.filter { name in passing.contains { name.contains($0) } } == [])
        #expect(try new.restore() == .upToDate(newest))
    }

    @Test func `a snapshot that was not the last thing done is said to be one`() throws {
        try snapshot(of: old)
        #expect(try restored(new.restore()).hasGoneOn)
    }

    @Test func `a last snapshot is not the last if an epoch was claimed after it`() throws {
        try snapshot(of: old, final: true)
        try old.workAsOwner()
        #expect(try restored(new.restore()).hasGoneOn)
    }

    @Test func `a damaged newest one gives way to the older, which is said`() throws {
        let older = try snapshot(of: old, final: true)
        let newest = try snapshot(of: old, final: true)
        try scene.damage(newest)
        var said: [String] = []
        let (position, hasGoneOn) = try restored(new.restore { said.append($0) })
        #expect(position == older && hasGoneOn)
        #expect(said.count == 1 && said.first?.contains("taking an older one") == true)
    }

    @Test func `what gave way to an older one has gone on, and has begun, even if no claim tells of it`() throws {
        for _ in 1...2 {
            try old.work()
            try old.library.take(of: old.checkpoint, reason: "test", final: true)
        }
        let positions = try old.library.positions()
        try scene.damage(positions[0])
        #expect(try restored(new.restore()).hasGoneOn)
        try scene.damage(positions[1])
        let third = try scene.volume("third")
        #expect(throws: StoreError.self) { try third.restore() }
    }

    @Test(arguments: [true, false])
    func `a restore that was killed before it knew the claim is gone on with, without a word if nothing came after`(
        isFinal: Bool
    ) throws {
        let position = try snapshot(of: old, final: isFinal)
        _ = try new.restore()
        try retrying("unlink") { unlink(new.checkpoint + ".claims") }
        if isFinal {
            #expect(try new.restore() == .upToDate(position))
            #expect(try new.position() == position)
        } else {
            guard case .overtaken = try new.restore() else {
                Issue.record("commands that may have run are not said")
                return
            }
        }
        #expect(try new.workAsOwner() > position)
    }

    @Test func `a state that another has gone on from is overtaken, even if its last snapshot is final`() throws {
        let position = try snapshot(of: old, final: true)
        _ = try new.restore()
        try new.workAsOwner()
        #expect(try old.restore() == .overtaken(position))
    }

    @Test func `a restore that fails leaves the job to the volume that has it`() throws {
        try snapshot(of: old)
        // Where the new checkpoint is to be made.
        for name in [".restored", ".restored/x"] { try makeFolder(new.checkpoint + name) }
        #expect(throws: StoreError.self) { try new.restore() }
        #expect(try !new.claims.isOurs() && !new.files.contains("job_j.db"))
    }

    @Test func `without a whole snapshot a job that has run does not begin anew`() throws {
        try scene.damage(snapshot(of: old))
        let error = #expect(throws: StoreError.self) { try new.restore() }
        #expect(error?.kind == .unusable)
        #expect(try new.files.filter { $0.contains("job_j.db") && !$0.hasSuffix(".lock") } == [])
        for name in try scene.keys("snapshots") { try scene.store.delete("jobs/j/snapshots/" + name) }
        #expect(throws: StoreError.self) { try new.restore() }
    }

    @Test func `an older checkpoint is set aside, and one with more stays`() throws {
        try snapshot(of: old)
        _ = try new.restore()
        let ahead = try snapshot(of: new)
        #expect(try new.restore() == .upToDate(ahead))
        #expect(try restored(old.restore()).0 == ahead)
        #expect(try old.files.contains { $0.contains(".superseded-") })
        let further = try old.workAsOwner()
        #expect(try old.restore() == .upToDate(further))
    }

    @Test func `the job is this volume's afterwards, and the former one's no more`() throws {
        try snapshot(of: old)
        _ = try new.restore()
        try new.workAsOwner()
        #expect(try new.claims.isOurs() && !old.claims.isOurs())
        #expect(throws: Volume.NotOurs.self) { try old.workAsOwner() }
    }

    @Test func `a volume with more than any snapshot takes the job back, and says so`() throws {
        try snapshot(of: old)
        let ahead = try old.workAsOwner()
        _ = try new.restore()
        try new.workAsOwner()
        #expect(try old.restore() == .overtaken(ahead))
        #expect(try #require(try old.position()) > ahead, "the journal says that another has gone on")
        #expect(try old.workAsOwner() > ahead)
        #expect(try old.claims.isOurs() && !new.claims.isOurs())
    }
}
