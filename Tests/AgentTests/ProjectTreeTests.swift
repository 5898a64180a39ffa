import Agent
import AgentFixtures
import Glibc
import LinuxSystem
import Testing

struct ProjectTreeTests {
    let folder: TemporaryFolder
    let tree: ProjectTree

    init() throws {
        folder = try TemporaryFolder()
        try makeFolder(folder.path + "/project/sub")
        try folder.write("secret", "secret")
        try folder.write("project/a", "hello")
        tree = try ProjectTree(path: folder.path + "/project")
    }

    private func code(_ body: () throws -> Void) -> Int32? {
        do {
            try body()
            return nil
        } catch {
            return (error as? SystemError)?.code
        }
    }

    @Test func `files are read by relative and absolute paths`() throws {
        #expect(try tree.read("a", limit: 100) == Array("hello".utf8))
        #expect(try tree.read("./sub/../a", limit: 100) == Array("hello".utf8))
        #expect(try tree.read(folder.path + "/project/a", limit: 100) == Array("hello".utf8))
    }

    @Test func `files and folders of the tree exist, and nothing else`() {
        #expect(tree.exists("a") && tree.exists("sub") && tree.exists("."))
        #expect(!tree.exists("b") && !tree.exists("a/b"))
    }

    @Test(arguments: ["../secret", "sub/../../secret", "/etc/passwd", "/proc/self/environ", "//etc/passwd"])
    func `no path leads out`(path: String) {
        let reading = code { _ = try tree.read(path, limit: 1 << 20) }
        #expect(reading == EXDEV || reading == ENOENT)
        #expect(!tree.exists(path))
        #expect(code { try tree.write(path, [1]) } != nil)
    }

    @Test func `no link leads out, nor is one written through`() throws {
        #expect(symlink("../secret", folder.path + "/project/file") == 0)
        #expect(symlink("..", folder.path + "/project/up") == 0)
        for path in ["file", "up/secret"] {
            #expect(code { _ = try tree.read(path, limit: 100) } == ELOOP)
            #expect(!tree.exists(path))
            #expect(code { try tree.write(path, [1]) } != nil)
        }
        #expect(try folder.read("secret") == "secret")
    }

    @Test func `a FIFO and a folder are no files and hold nobody up`() {
        #expect(mkfifo(folder.path + "/project/fifo", 0o600) == 0)
        #expect(code { _ = try tree.read("fifo", limit: 100) } == EINVAL)
        #expect(code { _ = try tree.read("sub", limit: 100) } == EISDIR)
        #expect(code { try tree.write("sub", [1]) } == EISDIR)
    }

    @Test func `writing makes folders, replaces in one step and keeps the mode`() throws {
        try tree.write("new/deep/file", Array("x".utf8))
        #expect(try folder.read("project/new/deep/file") == "x")
        #expect(chmod(folder.path + "/project/a", 0o755) == 0)
        try tree.write("a", Array("other".utf8))
        var status = stat()
        #expect(stat(folder.path + "/project/a", &status) == 0)
        #expect(status.st_mode & 0o777 == 0o755)
        #expect(try folder.read("project/a") == "other")
        #expect(try namesInFolder(folder.path + "/project").filter { $0.hasPrefix(".agent") }.isEmpty)
    }

    @Test func `a file over the limit is refused`() {
        #expect(code { _ = try tree.read("a", limit: 4) } == EFBIG)
    }

    @Test func `what changed since a time is found, without git's own files`() throws {
        #expect(tree.changed(since: Clock.wall + 60000, limit: 10).isEmpty)
        try makeFolder(folder.path + "/project/.git")
        try folder.write("project/.git/x", "")
        #expect(tree.changed(since: 0, limit: 10) == ["a"])
        #expect(tree.changed(since: 0, limit: 0).isEmpty)
    }

    @Test func `a file of the same tick counts as changed, an older one does not`() {
        // A file's time is that of the kernel's last tick, the caller's that of the clock.
        var status = stat()
        #expect(stat(folder.path + "/project/a", &status) == 0)
        let time = Int64(status.st_mtim.tv_sec) * 1000 + Int64(status.st_mtim.tv_nsec) / 1_000_000
        #expect(tree.changed(since: time + 10, limit: 10) == ["a"])
        #expect(tree.changed(since: time + 11, limit: 10).isEmpty)
    }
}
