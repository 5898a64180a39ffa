import Agent
import AgentFixtures
import Glibc
import LinuxSystem
import Snapshots
import Testing

/// A project tree, an archive of it, and where it is extracted to.
private final class Scene {
    let folder: TemporaryFolder
    var project: String { folder.path + "/project" }
    var archive: String { folder.path + "/project.tar" }
    var target: String { folder.path + "/target" }

    init() throws {
        folder = try TemporaryFolder()
        for name in ["project", "target"] { try makeFolder(folder.path + "/" + name) }
    }

    func archive(excludes: [String] = [], limit: Int64 = 1 << 30) throws -> ProjectArchive.Outcome {
        try ProjectArchive(root: project, excludes: excludes).write(to: archive, limit: limit)
    }

    func extract() throws {
        var extraction = try ProjectExtraction(into: target)
        try extraction.run(archive)
    }

    func extract(_ bytes: [UInt8]) throws {
        let file = Descriptor(
            adopting: try retrying("open") { open(archive, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600) })
        try writeAll(file.number, bytes)
        try extract()
    }

    func status(_ path: String) throws -> stat {
        var status = stat()
        try retrying("lstat", subject: path) { lstat(folder.path + "/" + path, &status) }
        return status
    }
}

/// The bytes of an archive of these members, all of their content `x`.
private func tar(_ entries: [TarEntry]) -> [UInt8] {
    entries.flatMap { entry -> [UInt8] in
        guard case .file(let size) = entry.kind else { return entry.header }
        return entry.header + [UInt8](repeating: 0x78, count: Int(size)) + TarEntry.padding(size)
    } + [UInt8](repeating: 0, count: 1024)
}

private func member(_ path: String, _ kind: TarEntry.Kind, mode: UInt32 = 0o644) -> TarEntry {
    TarEntry(path: path, kind: kind, mode: mode, modified: 1_000_000)
}

@Suite(.timeLimit(.minutes(2))) struct ProjectArchiveTests {
    @Test func `what is archived comes back with modes, times, links and long names`() throws {
        let scene = try Scene()
        let deep = (0..<12).map { "a-long-name-of-a-folder-\($0)" }.joined(separator: "/")
        try makeFolder(scene.project + "/" + deep)
        try scene.folder.write("project/" + deep + "/ünïcode name\n", "deep")
        try scene.folder.write("project/empty", "")
        try scene.folder.write("project/run", String(repeating: "0123456789", count: 100_000))
        chmod(scene.project + "/run", 0o750)
        try makeFolder(scene.project + "/closed")
        try scene.folder.write("project/closed/in", "x")
        chmod(scene.project + "/closed/in", 0o400)
        chmod(scene.project + "/closed", 0o500)
        let far = "../" + String(repeating: "elsewhere/", count: 30)
        symlink(far, scene.project + "/link")
        symlink("run", scene.project + "/to-run")
        var times = [timespec](repeating: timespec(tv_sec: 1_234_567, tv_nsec: 0), count: 2)
        for name in ["run", "closed"] { try #require(utimensat(AT_FDCWD, scene.project + "/" + name, &times, 0) == 0) }
        #expect(try scene.archive().remarkCount == 0)
        try scene.extract()
        #expect(try scene.folder.read("target/run") == scene.folder.read("project/run"))
        #expect(try scene.folder.read("target/" + deep + "/ünïcode name\n") == "deep")
        #expect(try scene.status("target/empty").st_size == 0)
        #expect(try scene.status("target/run").st_mode & 0o777 == 0o750)
        #expect(try scene.status("target/closed/in").st_mode & 0o777 == 0o400)
        #expect(try scene.status("target/closed").st_mode & 0o777 == 0o500)
        #expect(try scene.status("target/run").st_mtim.tv_sec == 1_234_567)
        #expect(try scene.status("target/closed").st_mtim.tv_sec == 1_234_567)
        var text = [UInt8](repeating: 0, count: 4096)
        let count = readlink(scene.folder.path + "/target/link", &text, text.count)
        #expect(String(decoding: text.prefix(max(0, count)), as: UTF8.self) == far)
        for name in ["project", "target"] { chmod(scene.folder.path + "/\(name)/closed", 0o700) }
    }

    @Test func `names are left out everywhere, paths where they lead to`() throws {
        let scene = try Scene()
        for path in ["node_modules/a", "src/node_modules", "build/cache", "src/build/cache"] {
            try makeFolder(scene.project + "/" + path)
            try scene.folder.write("project/" + path + "/file", "x")
        }
        _ = try scene.archive(excludes: ["node_modules", "build/cache"])
        try scene.extract()
        #expect(try namesInFolder(scene.target) == ["build", "src"])
        #expect(try namesInFolder(scene.target + "/build") == [])
        #expect(try namesInFolder(scene.target + "/src") == ["build"])
        #expect(try namesInFolder(scene.target + "/src/build/cache") == ["file"])
    }

    @Test func `links are not followed, and what is no file is left out and said`() throws {
        let scene = try Scene()
        try makeFolder(scene.folder.path + "/outside")
        try scene.folder.write("outside/secret", "key")
        symlink(scene.folder.path + "/outside", scene.project + "/way-out")
        try #require(mkfifo(scene.project + "/fifo", 0o600) == 0)
        let outcome = try scene.archive()
        #expect(outcome.remarkCount == 1 && outcome.remarks.first?.contains("fifo") == true, "\(outcome.remarks)")
        let bytes = try readFile(scene.archive, limit: 1 << 20)
        #expect(!String(decoding: bytes, as: UTF8.self).contains("key"))
        try scene.extract()
        #expect(try scene.status("target/way-out").st_mode & S_IFMT == S_IFLNK)
    }

    @Test func `a tree that is too large leaves no archive`() throws {
        let scene = try Scene()
        try scene.folder.write("project/file", String(repeating: "x", count: 100_000))
        #expect(try scene.archive(limit: 50000).isTooLarge)
        #expect(access(scene.archive, F_OK) != 0)
        #expect(try !scene.archive(limit: 150_000).isTooLarge)
    }

    @Test func `files that change while they are read do not break the archive`() throws {
        let scene = try Scene()
        let path = scene.project + "/changing"
        try scene.folder.write("project/changing", String(repeating: "x", count: 4 << 20))
        try scene.folder.write("project/zz-last", "whole")
        // A real process that makes the file long and short all the time. It has no children: one that outlived it would
        // be ours, and Swift Testing's wait for the processes of its exit tests hangs on a child that nobody reaps.
        let spawn = Spawn(
            path: "/usr/bin/python3",
            arguments: [
                "python3", "-c",
                "import os\nwhile True: os.truncate('\(path)', 100); os.truncate('\(path)', 8 << 20)",
            ],
            environment: ["PATH=/usr/bin:/bin"], descriptors: [])
        let pid = try spawn.start()
        defer {
            kill(pid, SIGKILL)
            waitpid(pid, nil, 0)
        }
        for _ in 0..<20 {
            _ = try scene.archive()
            try scene.extract()
            #expect(try scene.folder.read("target/zz-last") == "whole")
            for name in try namesInFolder(scene.target) { unlink(scene.target + "/" + name) }
        }
    }

    @Test func `a hostile archive is refused, and writes nothing outside`() throws {
        let hostile: [[TarEntry]] = [
            [member("../outside", .file(size: 1))], [member("/tmp/outside", .file(size: 1))],
            [member("a/../../outside", .file(size: 1))], [member("./a", .file(size: 1))], [member("a//b", .folder)],
            [member("way", .link("..")), member("way/outside", .file(size: 1))],
            [member("way", .link("../outside")), member("way", .file(size: 1))],
            [member("way", .link("..")), member("way/outside", .folder)],
            [member("a", .folder), member("a", .link("..")), member("a/outside", .file(size: 1))],
            [member("a", .file(size: 1)), member("a", .file(size: 1))], [member("nowhere/a", .file(size: 1))],
            [member(String(repeating: "../", count: 60) + "outside", .link("x"))],
        ]
        for entries in hostile {
            let scene = try Scene()
            #expect(throws: ObjectStoreError.self, "\(entries)") { try scene.extract(tar(entries)) }
            #expect(try namesInFolder(scene.folder.path) == ["project", "project.tar", "target"], "\(entries)")
        }
    }

    @Test(arguments: [UInt8(ascii: "1"), UInt8(ascii: "3"), UInt8(ascii: "4"), UInt8(ascii: "6"), UInt8(ascii: "g")])
    func `hard links, devices and pipes are refused`(flag: UInt8) throws {
        let scene = try Scene()
        var bytes = tar([member("a", .file(size: 0))])
        let sum = bytes[148..<154].reduce(0) { $0 * 8 + Int($1 - 0x30) } + Int(flag) - Int(bytes[156])
        bytes[156] = flag
        let digits = String(sum, radix: 8)
        bytes.replaceSubrange(148..<154, with: (String(repeating: "0", count: 6 - digits.count) + digits).utf8)
        #expect(throws: ObjectStoreError.self) { try scene.extract(bytes) }
        #expect(try namesInFolder(scene.target) == [])
    }

    @Test func `damaged and random bytes are refused or extracted within`() throws {
        let scene = try Scene()
        let long = String(repeating: "long/", count: 40)
        let sound = tar([member("a", .folder, mode: 0o755), member("a/b", .file(size: 700)), member("l", .link(long))])
        var random = SystemRandomNumberGenerator()
        for _ in 0..<600 {
            var bytes = sound
            switch Int.random(in: 0..<4, using: &random) {
            case 0: bytes = (0..<Int.random(in: 0..<3000)).map { _ in UInt8.random(in: 0...255) }
            case 1: bytes.removeLast(Int.random(in: 1025..<bytes.count))
            default:
                for _ in 0..<Int.random(in: 1...4) { bytes[Int.random(in: 0..<bytes.count)] = .random(in: 0...255) }
            }
            do { try scene.extract(bytes) } catch is ObjectStoreError {} catch is SystemError {}
            #expect(try namesInFolder(scene.folder.path) == ["project", "project.tar", "target"])
            unlink(scene.target + "/l")
            unlink(scene.target + "/a/b")
            rmdir(scene.target + "/a")
        }
    }
}
