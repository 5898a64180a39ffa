import Agent
import AgentFixtures
import Contracts
import Glibc
import LinuxSystem
import Testing

/// What a command takes from the agent's folders, the agent takes back.
struct MendingTests {
    let folder: TemporaryFolder
    let folders: Folders

    init() throws {
        folder = try TemporaryFolder()
        folders = try Folders(
            environment: ["JOB_ID": "j", "WORKSPACE_PATH": folder.path, "AGENT_HOME": folder.path + "/tmp/home"])
        try folders.prepare()
    }

    private func mode(_ path: String) -> mode_t? {
        var status = stat()
        return lstat(path, &status) == 0 ? status.st_mode & 0o7777 : nil
    }

    @Test func `nothing is said of folders that are as they should be`() { #expect(folders.mend() == []) }

    @Test(arguments: [0o000, 0o644] as [mode_t])
    func `each folder gets its mode back, and it is said`(bits: mode_t) {
        for path in [folders.project, folders.home, folders.temporary, folders.checkpoints] {
            chmod(path, bits)
            let said = folders.mend()
            #expect(said == ["the folder \(path) had lost its mode, and has been given it back"])
            #expect((mode(path) ?? 0) & 0o700 == 0o700, "\(path)")
        }
    }

    @Test func `all of them at once, and what lies above them`() {
        for path in [folders.checkpoints, folders.project, folders.home, folders.temporary, folders.workspace] {
            chmod(path, 0)
        }
        #expect(folders.mend().count == 5)
        #expect(folders.mend() == [])
        // Of what lies above only the way through is asked.
        #expect(mode(folders.workspace) == 0o100)
    }

    @Test func `a home that is gone is made again`() {
        rmdir(folders.home)
        #expect(folders.mend() == ["the folder \(folders.home) was gone and has been made again, empty"])
        #expect(mode(folders.home) == 0o700)
    }

    @Test func `a link in the place of the home goes, and what it leads to is not touched`() throws {
        try folder.write("checkpoints/secret", "s")
        rmdir(folders.home)
        symlink(folders.checkpoints, folders.home)
        chmod(folders.checkpoints, 0o700)
        #expect(folders.mend().count == 1)
        var status = stat()
        #expect(lstat(folders.home, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR)
        #expect(try folder.read("checkpoints/secret") == "s")
        #expect(try namesInFolder(folders.home) == [])
    }

    @Test func `the checkpoint's and the spool's files get their modes back`() throws {
        for name in ["job_j.db", "job_j.db-wal", "spool_j.db", "job_j.db.backup"] {
            try folder.write("checkpoints/" + name, "x")
            chmod(folders.checkpoints + "/" + name, 0)
        }
        _ = folders.mend()
        for name in ["job_j.db", "job_j.db-wal", "spool_j.db", "job_j.db.backup"] {
            #expect(mode(folders.checkpoints + "/" + name) == 0o600, "\(name)")
        }
    }

    @Test func `the program that jails commands can be executed again`() throws {
        try makeFolder(folder.path + "/bin")
        try folder.write("bin/agent-jail", "x")
        chmod(folder.path + "/bin/agent-jail", 0)
        chmod(folder.path + "/bin", 0)
        _ = folders.mend(program: folder.path + "/bin/agent-jail")
        #expect(mode(folder.path + "/bin") == 0o100 && mode(folder.path + "/bin/agent-jail") == 0o500)
    }
}

/// What a program whose word counts is started with.
struct VerdictTests {
    private let folder: TemporaryFolder
    private let folders: Folders

    init() throws {
        folder = try TemporaryFolder()
        folders = try Folders(environment: ["JOB_ID": "j", "WORKSPACE_PATH": folder.path])
        try folders.prepare()
    }

    private func request(_ additions: [String: String] = [:], judges: Bool) throws -> JailRequest {
        var commands = JailedCommands(program: "/no/agent-jail", folders: folders, proxy: Settings.Proxy())
        for (name, value) in additions { commands.environment.set(name, value) }
        let runner = judges ? try commands.asJudges() : commands
        return runner.request(["true"], profile: .tactical, timeout: 1000)
    }

    private func variables(_ request: JailRequest) -> [String: String] {
        Dictionary(
            request.environment.map { entry in
                let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                return (String(parts[0]), String(parts[1]))
            }
        ) { one, _ in one }
    }

    @Test func `nothing in its environment leads to what a command can have written`() throws {
        let request = try request(judges: true)
        let writable = [folders.home, folders.temporary, folders.project, JailGrants.sharedMemory]
        for (name, value) in variables(request) {
            for part in value.split(separator: ":") where part.hasPrefix("/") {
                #expect(!writable.contains { isPath(String(part), inside: $0) }, "\(name)=\(value)")
            }
        }
        #expect(request.home == folders.verdicts)
        #expect(variables(request)["HOME"] == folders.verdicts + "/home")
        #expect(variables(request)["PYTHONNOUSERSITE"] == "1" && variables(request)["PYTHONUSERBASE"] == nil)
    }

    @Test func `what the configuration adds is there, unless it leads to what a command can write`() throws {
        let added = [
            "PATH": "/opt/tool/bin:\(folders.home)/bin:.:\(folders.project)/bin", "PYTHONPATH": folders.home + "/lib",
            "JAVA_HOME": "/opt/java", "MAVEN_OPTS": "-Xmx1g",
        ]
        let variables = variables(try request(added, judges: true))
        #expect(variables["PATH"] == "/opt/tool/bin")
        #expect(variables["PYTHONPATH"] == nil)
        #expect(variables["JAVA_HOME"] == "/opt/java" && variables["MAVEN_OPTS"] == "-Xmx1g")
        let home = self.variables(try request(["PATH": folders.home + "/bin"], judges: true))
        #expect(home["PATH"]?.hasPrefix("/usr/local/sbin:") == true)
    }

    @Test func `its home is empty each time`() throws {
        _ = try request(judges: true)
        try folder.write("checkpoints/verdict_j/home/.bashrc", "false")
        try folder.write("checkpoints/verdict_j/planted", "x")
        _ = try request(judges: true)
        #expect(try namesInFolder(folders.verdicts) == ["home", "tmp"])
        #expect(try namesInFolder(folders.verdicts + "/home") == [])
    }

    @Test func `for a command the image's programs come before those of its home`() throws {
        let path = try #require(variables(try request(judges: false))["PATH"])
        #expect(path.hasSuffix(":\(folders.home)/.local/bin") && path.hasPrefix("/usr/local/sbin:"))
    }
}
