import Agent
import AgentFixtures
import Glibc
import LinuxSystem
import ObjectStores
import Snapshots
import Stores
import Testing

@Suite(.timeLimit(.minutes(2))) struct ProjectRestorationTests {
    private let scene: SnapshotScene
    private let new: Volume
    private let archive: String

    /// A job that was stopped for good, with a tree of one file.
    init() throws {
        scene = try SnapshotScene()
        let old = try scene.volume("old")
        new = try scene.volume("new")
        try old.workAsOwner()
        try makeFolder(old.project)
        try scene.folder.write("old/job_j.db.project/file", "content")
        let made = try old.library.take(
            of: old.checkpoint, reason: "test", final: true, project: ProjectArchive(root: old.project, excludes: []))
        archive = try #require(made.project).key
    }

    private func files() throws -> [String] {
        try new.files.filter { $0.contains("restoring") || $0.contains("fetched") }
    }

    @Test func `the tree comes back with the state, and again if only the tree is lost`() throws {
        guard case (.restored(_, hasGoneOn: false), .restored) = try new.restoreAll() else {
            Issue.record("it was not restored, or has gone on")
            return
        }
        #expect(try scene.folder.read("new/job_j.db.project/file") == "content")
        #expect(try files() == [])
        #expect(try new.restoreAll().1 == .kept)
        try retrying("rename") { rename(new.project, new.project + ".lost") }
        #expect(try new.restoreAll().1 == .restored)
    }

    @Test func `a folder that holds something stays as it is`() throws {
        try makeFolder(new.project)
        try scene.folder.write("new/job_j.db.project/mine", "mine")
        #expect(try new.restoreAll().1 == .kept)
        #expect(try namesInFolder(new.project) == ["mine"])
    }

    @Test func `a changed letter of a file is damage, which nothing but the digest tells, and the job has gone on`()
        throws
    {
        var bytes = try scene.store.get(archive, limit: 1 << 20)
        let place = try #require(bytes.firstRange(of: Array("content".utf8))).lowerBound
        bytes[place] ^= 1
        try scene.store.put(bytes, as: archive)
        guard case (.restored(_, hasGoneOn: true), .damaged) = try new.restoreAll() else {
            Issue.record("a damaged tree was taken, or the job goes on without a word")
            return
        }
        #expect(try !namesInFolder(String(new.checkpoint.dropLast("/job_j.db".count))).contains("job_j.db.project"))
        #expect(try files() == [])
    }

    @Test func `an archive that breaks off leaves no part of the tree, even with the right digest`() throws {
        let whole = try scene.store.get(archive, limit: 1 << 20)
        let position = try #require(try new.library.positions().first)
        var manifest = try scene.manifest(position)
        let bytes = Array(whole.prefix(700))
        let digest = Digest.hexadecimal(Digest.sha256(bytes))
        manifest.project?.sha256 = digest
        manifest.project?.size = Int64(bytes.count)
        manifest.project?.key = SnapshotScene.key(position, "-\(digest.prefix(16)).tar")
        try scene.store.put(bytes, as: SnapshotScene.key(position, "-\(digest.prefix(16)).tar"))
        try scene.put(manifest, at: position)
        #expect(try new.restoreAll().1 == .damaged)
        #expect(try new.files.filter { $0.contains(".project") } == [])
    }

    @Test func `what a killed restore has left is no tree`() throws {
        try makeFolder(new.project + ".restoring/half")
        #expect(try new.restoreAll().1 == .restored)
        #expect(try namesInFolder(new.project) == ["file"])
        #expect(try files() == [])
    }
}
