import Agent
import AgentFixtures
import LinuxSystem
import Snapshots
import Testing

struct ClaimsTests {
    private let scene: SnapshotScene
    private let first: Volume
    private let second: Volume

    init() throws {
        scene = try SnapshotScene()
        first = try scene.volume("first")
        second = try scene.volume("second")
    }

    private func take(_ volume: Volume, _ epoch: Int64) throws -> Int64? {
        try volume.claims.take(epoch, nonce: "\(volume.checkpoint) \(epoch)", host: "test")
    }

    @Test func `nobody has claimed a new job, and any volume may`() throws {
        #expect(try first.claims.newest() == nil)
        #expect(try first.claims.isOurs() && second.claims.isOurs())
        #expect(try first.claims.superseding(1) == nil)
    }

    @Test func `a volume goes on from its own claim to the next`() throws {
        for epoch in Int64(1)...3 {
            #expect(try take(first, epoch) == nil)
            #expect(try first.claims.isOurs())
            #expect(try first.claims.superseding(epoch) == nil)
        }
        #expect(try scene.keys("epoch") == ["000000000001", "000000000002", "000000000003"])
        #expect(try first.files == ["job_j.db.claims"], "a temporary file is left")
    }

    @Test(arguments: [Int64(1), 2, 9])
    func `another volume may not, whatever its epoch, and puts nothing`(epoch: Int64) throws {
        #expect(try take(first, 1) == nil)
        #expect(try take(second, epoch) == 1)
        #expect(try !second.claims.isOurs())
        #expect(try scene.keys("epoch") == ["000000000001"])
        #expect(try first.claims.isOurs())
    }

    @Test func `a volume that has taken the state over claims the next epoch, and the former one may not go on`() throws
    {
        #expect(try take(first, 1) == nil)
        try second.claims.adopt(1)
        #expect(try second.claims.isOurs())
        #expect(try take(second, 2) == nil)
        #expect(try first.claims.superseding(1) == 2)
        #expect(try !first.claims.isOurs())
        #expect(try take(first, 2) == 2)
        #expect(try take(first, 3) == 2)
        #expect(try second.claims.superseding(2) == nil)
    }

    @Test func `a claim may be made again with the same nonce, and with no other`() throws {
        #expect(try first.claims.take(1, nonce: "a", host: "test") == nil)
        #expect(try first.claims.take(1, nonce: "a", host: "test") == nil)
        #expect(try first.claims.take(1, nonce: "b", host: "test") == 1)
        #expect(try first.claims.isOurs())
    }

    @Test func `an epoch that is older than one's own claim is not claimed`() throws {
        for epoch in [Int64(1), 3] { #expect(try take(first, epoch) == nil) }
        #expect(try take(first, 2) == 3)
        #expect(try scene.keys("epoch") == ["000000000001", "000000000003"])
    }

    @Test func `a process that is killed after its claim was put has not shut its own volume out`() throws {
        let store = Meanwhile(scene.store)
        store.after = { () throws(ObjectStoreError) in throw ObjectStoreError(.unavailable, "killed") }
        let claims = Claims(store: store, job: SnapshotScene.job, checkpoint: first.checkpoint)
        #expect(throws: ObjectStoreError.self) { try claims.take(1, nonce: "a", host: "test") }
        #expect(try first.claims.isOurs())
        #expect(try take(first, 2) == nil)
    }

    @Test func `a process that is killed before its claim was put has not lost the one before`() throws {
        #expect(try take(first, 1) == nil)
        let store = Meanwhile(scene.store)
        store.before = { () throws(ObjectStoreError) in throw ObjectStoreError(.unavailable, "killed") }
        let claims = Claims(store: store, job: SnapshotScene.job, checkpoint: first.checkpoint)
        #expect(throws: ObjectStoreError.self) { try claims.take(2, nonce: "a", host: "test") }
        #expect(try first.claims.isOurs())
        #expect(try take(first, 3) == nil)
    }

    @Test func `of two that claim at the same moment the later is told, and knows only what it knew`() throws {
        #expect(try take(first, 1) == nil)
        try second.claims.adopt(1)
        let store = Meanwhile(scene.store)
        let rival = second
        store.before = { () throws(ObjectStoreError) in
            do { _ = try rival.claims.take(2, nonce: "rival", host: "test") } catch {
                throw ObjectStoreError(.refused, "\(error)")
            }
        }
        let claims = Claims(store: store, job: SnapshotScene.job, checkpoint: first.checkpoint)
        #expect(try claims.take(2, nonce: "late", host: "test") == 2)
        #expect(try !first.claims.isOurs() && second.claims.isOurs())
        #expect(try first.text("job_j.db.claims").contains("job_j.db 1"))
        #expect(try !first.text("job_j.db.claims").contains("late"))
    }

    @Test func `of two that were given the same epoch the one whose claim is gone is superseded`() throws {
        #expect(try take(first, 1) == nil)
        // What a store does that takes requests of one moment for the first, both of them.
        try scene.store.put(Array("another's".utf8), as: "jobs/j/epoch/000000000001")
        #expect(try first.claims.superseding(1) == 1)
        #expect(try !first.claims.isOurs())
    }

    @Test func `a claim that somebody has removed shuts nobody out`() throws {
        #expect(try take(first, 1) == nil)
        #expect(try take(first, 2) == nil)
        try scene.store.delete("jobs/j/epoch/000000000002")
        #expect(try first.claims.superseding(2) == nil)
    }

    @Test func `the last sixteen are kept, and their order is that of numbers`() throws {
        for epoch in Int64(1)...105 { #expect(try take(first, epoch) == nil) }
        let kept = try scene.keys("epoch")
        #expect(kept.count == 16 && kept.first == "000000000090" && kept.last == "000000000105")
    }

    @Test func `the claims of another job are none of ours`() throws {
        #expect(try take(first, 1) == nil)
        let other = Claims(store: scene.store, job: "j2", checkpoint: second.checkpoint)
        #expect(try other.newest() == nil)
        #expect(try other.take(1, nonce: "a", host: "test") == nil)
        #expect(try first.claims.isOurs())
    }
}

extension Volume {
    /// The text of a file beside the checkpoint.
    fileprivate func text(_ name: String) throws -> String {
        String(
            decoding: try readFile(String(checkpoint.dropLast("job_j.db".count)) + name, limit: 1 << 20), as: UTF8.self)
    }
}
