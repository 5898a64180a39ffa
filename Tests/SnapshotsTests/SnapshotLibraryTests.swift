import Agent
import AgentFixtures
import FoundationEssentials
import Glibc
import LinuxSystem
import ObjectStores
import Snapshots
import Stores
import Testing

@Suite(.timeLimit(.minutes(2))) struct SnapshotLibraryTests {
    private let scene: SnapshotScene
    private let volume: Volume
    private var fetched: String { scene.folder.path + "/fetched" }

    init() throws {
        scene = try SnapshotScene()
        volume = try scene.volume("volume")
    }

    /// Works and takes a snapshot, so many times.
    @discardableResult
    private func snapshots(_ count: Int) throws -> [CheckpointPosition] {
        try (0..<count).map { _ in
            let position = try volume.work()
            try volume.library.take(of: volume.checkpoint, reason: "test", final: false)
            return position
        }
    }

    private func kind(_ body: () throws -> Void) throws -> ObjectStoreError.Kind? {
        do { try body() } catch let error as ObjectStoreError { return error.kind }
        return nil
    }

    // MARK: Making

    @Test func `a snapshot is the whole checkpoint, with a manifest that says what it is, and leaves nothing behind`()
        throws
    {
        let position = try volume.work()
        let made = try volume.library.take(of: volume.checkpoint, reason: "phase", final: false)
        #expect(try scene.manifest(position) == made)
        #expect(made.format == 1 && made.job == "j" && made.position == position && !made.final)
        #expect(made.reason == "phase" && made.schema == CheckpointCopy.newestSchema && made.project == nil)
        #expect(made.database.key == SnapshotScene.key(position, ".db"))
        let stored = try scene.store.get(made.database.key, limit: 1 << 30)
        #expect(made.database.size == Int64(stored.count))
        #expect(try volume.library.fetch(position, to: fetched) == made)
        #expect(try readFile(fetched, limit: 1 << 30) == stored)
        try CheckpointCopy.check(fetched, job: "j")
        #expect(try volume.files.filter { $0.contains("snapshot") } == [])
    }

    @Test func `what is stored of a state stays untouched, and is only said to be the last`() throws {
        let position = try volume.work()
        let first = try volume.library.take(of: volume.checkpoint, reason: "phase", final: false)
        try scene.store.put(Array("mark".utf8), as: first.database.key)
        #expect(try volume.library.take(of: volume.checkpoint, reason: "interval", final: false) == first)
        var last = first
        last.final = true
        #expect(try volume.library.take(of: volume.checkpoint, reason: "completed", final: true) == last)
        #expect(try scene.manifest(position) == last)
        #expect(try volume.library.take(of: volume.checkpoint, reason: "interval", final: false) == last)
        #expect(try scene.store.get(first.database.key, limit: 10) == Array("mark".utf8))
    }

    @Test func `a snapshot whose database could not be stored has no manifest`() throws {
        let position = try volume.work()
        try makeFolder(scene.objects + "/" + SnapshotScene.key(position, ".db"))
        #expect(throws: ObjectStoreError.self) {
            try volume.library.take(of: volume.checkpoint, reason: "test", final: false)
        }
        #expect(try volume.library.positions() == [])
        #expect(try volume.files.filter { $0.contains("snapshot") } == [])
    }

    @Test func `a checkpoint that is not whole is not stored`() throws {
        try volume.work()
        let database = Descriptor(adopting: open(volume.checkpoint, O_WRONLY | O_CLOEXEC))
        #expect(ftruncate(database.number, 3 * 8192) == 0)
        #expect(throws: StoreError.self) { try volume.library.take(of: volume.checkpoint, reason: "test", final: true) }
        #expect(try scene.keys("snapshots") == [])
    }

    @Test func `the tree of a project comes with the state that it belongs to`() throws {
        let position = try volume.work()
        try makeFolder(scene.folder.path + "/project")
        try scene.folder.write("project/file", "content")
        let project = ProjectArchive(root: scene.folder.path + "/project", excludes: [])
        let made = try volume.library.take(of: volume.checkpoint, reason: "test", final: false, project: project)
        let part = try #require(made.project)
        #expect(part.key == SnapshotScene.key(position, "-\(part.sha256.prefix(16)).tar"))
        #expect(try scene.manifest(position) == made)
        #expect(try scene.store.get(part.key, limit: 1 << 20).count == Int(part.size))
        #expect(try volume.files.filter { $0.contains("snapshot") } == [])
    }

    // MARK: Keeping

    @Test(arguments: 1...4)
    func `the newest are kept, with all that belongs to them, and the older ones go`(keep: Int) throws {
        let positions = try snapshots(4)
        try scene.store.put([1], as: SnapshotScene.key(positions[0], "-0123456789abcdef.tar"))
        try volume.library.retain(keep)
        let kept = positions.suffix(keep)
        #expect(try volume.library.positions() == kept.reversed())
        let databases = try scene.keys("snapshots").filter { $0.hasSuffix(".db") }
        #expect(databases.count == keep)
        for position in kept { _ = try volume.library.fetch(position, to: fetched) }
        #expect(try scene.keys("snapshots").contains { $0.hasSuffix(".tar") } == (keep == 4))
    }

    @Test func `fewer than are to be kept stay as they are`() throws {
        try snapshots(2)
        let before = try scene.keys("snapshots")
        try volume.library.retain(3)
        #expect(try scene.keys("snapshots") == before)
    }

    @Test func `an object without a manifest goes if it is older, and stays if it is just being made`() throws {
        let positions = try snapshots(2)
        let old = CheckpointPosition(epoch: 1, seq: 1)
        let new = CheckpointPosition(epoch: positions[1].epoch, seq: positions[1].seq + 1)
        for position in [old, new] { try scene.store.put([1], as: SnapshotScene.key(position, ".db")) }
        try volume.library.retain(2)
        let keys = try scene.keys("snapshots")
        #expect(!keys.contains("000000000001-000000000001.db"))
        #expect(keys.count == 5)
    }

    @Test func `the manifest goes before what it names`() throws {
        let positions = try snapshots(2)
        let store = Meanwhile(scene.store)
        try SnapshotLibrary(store: store, job: SnapshotScene.job).retain(1)
        #expect(store.deleted == [".json", ".db"].map { SnapshotScene.key(positions[0], $0) })
    }

    // MARK: Reading

    @Test func `the newest is the one of the later epoch, then of the later event, by number`() throws {
        let made = try #require(try snapshots(1).first)
        let manifest = try scene.manifest(made)
        let others = [(2, 900), (2, 1000), (10, 3), (9, 99999)].map { CheckpointPosition(epoch: $0.0, seq: $0.1) }
        for position in others { try scene.put(manifest, at: position) }
        try scene.store.put([1], as: "jobs/j/snapshots/no-snapshot.json")
        try scene.store.put([1], as: "jobs/j2/snapshots/000000000099-000000000099.json")
        #expect(try volume.library.positions() == [others[2], others[3], others[1], others[0], made])
    }

    @Test func `a byte that has changed is damage, which nothing but the digest tells`() throws {
        let position = try #require(try snapshots(1).first)
        try scene.damage(position)
        #expect(try kind { _ = try volume.library.fetch(position, to: fetched) } == .damaged)
    }

    @Test func `a database that is cut, longer or gone is no snapshot`() throws {
        let position = try #require(try snapshots(1).first)
        let key = SnapshotScene.key(position, ".db")
        let whole = try scene.store.get(key, limit: 1 << 30)
        for bytes in [Array(whole.dropLast()), whole + [0], []] {
            try scene.store.put(bytes, as: key)
            #expect(try kind { _ = try volume.library.fetch(position, to: fetched) } == .damaged)
        }
        try scene.store.delete(key)
        #expect(try kind { _ = try volume.library.fetch(position, to: fetched) } == .missing)
    }

    @Test func `a manifest that is another's is damage`() throws {
        let positions = try snapshots(2)
        let good = try scene.manifest(positions[1])
        var changed = [SnapshotManifest](repeating: good, count: 7)
        changed[0].job = "j2"
        changed[1].epoch += 1
        changed[2].seq += 1
        // The same bytes, in a place that is not this snapshot's.
        changed[3].database.key = "jobs/j2/elsewhere"
        try scene.store.put(scene.store.get(good.database.key, limit: 1 << 30), as: "jobs/j2/elsewhere")
        changed[4].database.size = 0
        changed[5].database.sha256 = String(repeating: "0", count: 64)
        // An object that is no archive of it.
        changed[6].project = good.database
        for manifest in changed {
            try scene.put(manifest, at: positions[1])
            #expect(try kind { _ = try volume.library.fetch(positions[1], to: fetched) } == .damaged, "\(manifest)")
        }
        try scene.put(good, at: positions[1])
        _ = try volume.library.fetch(positions[1], to: fetched)
    }

    @Test func `another snapshot's database is found out, even with the right digest`() throws {
        let positions = try snapshots(2)
        let old = try scene.manifest(positions[0])
        var new = try scene.manifest(positions[1])
        try scene.store.put(scene.store.get(old.database.key, limit: 1 << 30), as: new.database.key)
        new.database.size = old.database.size
        new.database.sha256 = old.database.sha256
        try scene.put(new, at: positions[1])
        #expect(try kind { _ = try volume.library.fetch(positions[1], to: fetched) } == .damaged)
    }

    @Test func `a database that is not whole is found out, even with the right digest`() throws {
        let position = try #require(try snapshots(1).first)
        var manifest = try scene.manifest(position)
        var bytes = try scene.store.get(manifest.database.key, limit: 1 << 30)
        // A letter of the task, in an event that has a digest of its own.
        let place = try #require(bytes.firstRange(of: Array("Do it".utf8))).lowerBound
        bytes[place] ^= 1
        try scene.store.put(bytes, as: manifest.database.key)
        manifest.database.sha256 = Digest.hexadecimal(Digest.sha256(bytes))
        try scene.put(manifest, at: position)
        let error = #expect(throws: StoreError.self) { try volume.library.fetch(position, to: fetched) }
        #expect(error?.kind == .unusable)
    }

    @Test func `a manifest of a later version is refused as such, and further fields are passed over`() throws {
        let position = try #require(try snapshots(1).first)
        let key = SnapshotScene.key(position, ".json")
        let text = String(decoding: try scene.store.get(key, limit: 1 << 16), as: UTF8.self)
        try scene.store.put(Array(("{\"further\":[1]," + text.dropFirst()).utf8), as: key)
        _ = try volume.library.fetch(position, to: fetched)
        try scene.store.put(
            Array(text.split(separator: "\"format\":1").joined(separator: "\"format\":2").utf8), as: key)
        let error = #expect(throws: StoreError.self) { try volume.library.fetch(position, to: fetched) }
        #expect(error?.kind == .newer)
        for bytes in [[], Array("{}".utf8), Array(text.utf8.dropLast())] {
            try scene.store.put(bytes, as: key)
            #expect(try kind { _ = try volume.library.fetch(position, to: fetched) } == .damaged)
        }
    }
}
