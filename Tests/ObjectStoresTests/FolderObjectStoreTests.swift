import Agent
import AgentFixtures
import Glibc
import LinuxSystem
import ObjectStoreConformance
import ObjectStores
import Testing

@Suite(.timeLimit(.minutes(2))) struct FolderObjectStoreTests {
    @Test func keepsTheContract() throws {
        let folder = try TemporaryFolder()
        try ObjectStoreConformance { try FolderObjectStore(folder.path + "/objects") }.run()
    }

    @Test func takesAwayWhatAKilledProcessLeftAndListsItNever() throws {
        let folder = try TemporaryFolder()
        try folder.write("~old", "half")
        try folder.write("~new", "half")
        var times = [timespec(tv_sec: 1, tv_nsec: 0), timespec(tv_sec: 1, tv_nsec: 0)]
        try #require(utimensat(AT_FDCWD, folder.path + "/~old", &times, 0) == 0)
        let store = try FolderObjectStore(folder.path)
        try store.put([1], as: "a")
        #expect(try store.list("").map(\.key) == ["a"])
        #expect(try namesInFolder(folder.path) == ["a", "~new"])
    }

    @Test func saysWhyAFolderCannotBeMade() throws {
        let folder = try TemporaryFolder()
        try folder.write("file", "")
        #expect(throws: (any Error).self) { try FolderObjectStore(folder.path + "/file/objects") }
    }
}
