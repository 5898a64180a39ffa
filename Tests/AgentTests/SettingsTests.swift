import Agent
import AgentFixtures
import Contracts
import Glibc
import LinuxSystem
import Testing

struct SettingsTests {
    private static let least = ["JOB_ID": "job-1", "AGENT_TASK": "Do it", "WORKSPACE_PATH": "/srv/w"]

    private func error(_ changes: [String: String]) -> StartError? {
        do throws(StartError) {
            _ = try Settings(environment: Self.least.merging(changes) { _, new in new })
            return nil
        } catch {
            return error
        }
    }

    @Test func `a job id, a workspace and a task are enough`() throws {
        let settings = try Settings(environment: Self.least)
        #expect(settings.folders.database == "/srv/w/checkpoints/job_job-1.db")
        #expect(settings.folders.project == "/srv/w/project")
        #expect(settings.folders.home == "/srv/w/home")
        // What is built under /tmp must not be granted with it.
        let isBuiltThere = isPath(programFolder() ?? "", inside: "/tmp")
        #expect(settings.folders.temporary == (isBuiltThere ? "/srv/w/tmp" : "/tmp"))
        #expect(settings.task == .text("Do it"))
    }

    @Test(arguments: [
        ("JOB_ID", "a b"), ("JOB_ID", ""), ("JOB_ID", "ä"), ("JOB_ID", "../x"), ("AGENT_PROVIDER", "bard"),
        ("AGENT_MAX_STEPS", "many"), ("AGENT_MAX_STEPS", "0"), ("AGENT_OUTPUT_BUDGET_MIB", "0"),
        ("AGENT_BASE_URL", "example.com"),
        ("AGENT_LISTEN", "8080"), ("AGENT_LOG_FORMAT", "xml"), ("AGENT_MAX_COST_USD", "-1"),
        ("AGENT_MAX_COST_USD", "5"), ("AGENT_NATS_CREATE_STREAMS", "yes"), ("WORKSPACE_PATH", "work"),
        ("AGENT_TASK_FILE", "/x"), ("AGENT_GRACE_SECONDS", "0"), ("AGENT_CONFIG", "/no/such/file"),
        ("AGENT_CHECKPOINT_DIR", "/srv/w/project/.state"), ("AGENT_SECRETS_DIR", "/etc/secrets"),
        ("AGENT_CHECKPOINT_DIR", "/dev/shm/c"), ("AGENT_LOG_FILE", "/tmp/agent.log.d/x"),
        ("AGENT_SNAPSHOT_URL", "bucket/prefix"), ("AGENT_SNAPSHOT_URL", "s3://"),
        ("AGENT_SNAPSHOT_URL", "s3://No_Bucket"),
        ("AGENT_SNAPSHOT_URL", "s3://bucket/a/../b"), ("AGENT_SNAPSHOT_URL", "s3://bucket/a?b"),
        ("AGENT_SNAPSHOT_URL", "file://host/x"), ("AGENT_SNAPSHOT_URL", "file:relative"),
        ("AGENT_SNAPSHOT_URL", "file:///"), ("AGENT_SNAPSHOT_URL", "file:///srv/w/project/snapshots"),
        ("AGENT_SNAPSHOT_URL", "file:///usr/share/snapshots"), ("AGENT_S3_ENDPOINT", "host:9000"),
        ("AGENT_S3_ENDPOINT", "http://me:key@host"), ("AGENT_S3_ENDPOINT", "http://host/path"),
        ("AGENT_S3_ENDPOINT", "http://host:0"), ("AGENT_S3_REGION", "eu west"),
        ("AGENT_SNAPSHOT_PROJECT", "yes"), ("AGENT_SNAPSHOT_EXCLUDE", "/abs"), ("AGENT_SNAPSHOT_EXCLUDE", "a,../b"),
        ("AGENT_SNAPSHOT_EXCLUDE", "a,,b"),
    ])
    func `a value that is not accepted is a configuration error that names the setting`(name: String, value: String) {
        var changes = [name: value]
        if name == "AGENT_LOG_FILE" { changes["AGENT_TMP"] = "/tmp" }
        let error = error(changes)
        #expect(error?.exit == .configuration)
        #expect(error?.description.contains(name) == true, "\(error?.description ?? "none")")
    }

    @Test func `snapshots go to a bucket or a folder, or nowhere`() throws {
        func place(_ changes: [String: String]) throws -> ObjectStoreSettings? {
            let environment = Self.least.merging(changes) { $1 }
            let read = try ObjectStoreSettings.read(environment: environment)
            #expect(try Settings(environment: environment).snapshots?.store == read)
            return read
        }
        #expect(try place([:]) == nil)
        #expect(try place(["AGENT_SNAPSHOT_URL": "file:///srv/w/snap shots/"]) == .folder("/srv/w/snap shots"))
        #expect(
            try place(["AGENT_SNAPSHOT_URL": "s3://my-bucket//a/b/"])
                == .bucket(.init(name: "my-bucket", prefix: "a/b", endpoint: nil, region: "us-east-1")))
        let minio = [
            "AGENT_SNAPSHOT_URL": "s3://b.1", "AGENT_S3_ENDPOINT": "http://[::1]:9000/", "AGENT_S3_REGION": "eu-1",
        ]
        #expect(
            try place(minio)
                == .bucket(.init(name: "b.1", prefix: "", endpoint: "http://[::1]:9000", region: "eu-1")))
    }

    @Test func `an unknown setting is refused with the nearest known one`() {
        let error = error(["AGENT_MAX_STEP": "5"])
        #expect(error?.exit == .configuration)
        #expect(error?.description.contains("AGENT_MAX_STEPS") == true)
    }

    @Test func `the configuration file holds the same names, and the environment wins`() throws {
        let folder = try TemporaryFolder()
        try folder.write("c.json", #"{"AGENT_MAX_STEPS": 7, "AGENT_MODEL": "m", "AGENT_NATS_CREATE_STREAMS": true}"#)
        let environment = ["AGENT_CONFIG": folder.path + "/c.json", "AGENT_MODEL": "n"]
        let settings = try Settings(environment: Self.least.merging(environment) { $1 })
        #expect(settings.limits.steps == 7)
        #expect(try settings.model.model(for: .anthropic) == "n")
        #expect(settings.delivery.createStreams)
        try folder.write("c.json", #"{"AGENT_MODLE": "m"}"#)
        #expect(error(environment)?.description.contains("AGENT_MODEL") == true)
    }

    @Test func `what PID 1 reads must stand in the environment, not in a file that it does not read`() throws {
        let folder = try TemporaryFolder()
        try folder.write("c.json", #"{"AGENT_GRACE_SECONDS": 30}"#)
        let error = error(["AGENT_CONFIG": folder.path + "/c.json"])
        #expect(error?.description.contains("AGENT_GRACE_SECONDS") == true)
    }

    @Test func `a workspace under tmp gets its own temporary folder instead of tmp`() throws {
        let folder = try TemporaryFolder()
        let settings = try Settings(environment: Self.least.merging(["WORKSPACE_PATH": folder.path]) { $1 })
        #expect(settings.folders.temporary == folder.path + "/tmp")
        #expect(error(["WORKSPACE_PATH": folder.path, "AGENT_TMP": "/tmp"])?.exit == .configuration)
    }

    @Test func `a link cannot hide that the checkpoints lie in the project tree`() throws {
        let folder = try TemporaryFolder()
        try makeFolder(folder.path + "/w/project/c")
        #expect(symlink(folder.path + "/w/project/c", folder.path + "/elsewhere") == 0)
        let changes = ["WORKSPACE_PATH": folder.path + "/w", "AGENT_CHECKPOINT_DIR": folder.path + "/elsewhere"]
        #expect(error(changes)?.description.contains("AGENT_CHECKPOINT_DIR") == true)
    }

    @Test func `lowercase proxy names count, uppercase ones win`() throws {
        let both = [
            "http_proxy": "http://a:1", "HTTP_PROXY": "http://b:2", "https_proxy": "http://u:p@127.0.0.1:3128/",
        ]
        let settings = try Settings(environment: Self.least.merging(both) { $1 })
        #expect(settings.proxy.http == "http://b:2")
        #expect(settings.network.policy == .only([.proxy("127.0.0.1", 3128), .proxy("b", 2)]))
    }

    @Test(
        arguments: [
            ([:], "closed", "none"),
            (["HTTPS_PROXY": "http://u:p@127.0.0.1:3128/"], "only the proxy at 127.0.0.1:3128", "127.0.0.1:3128"),
            (["HTTPS_PROXY": "http://[::1]:3128"], "only the proxy at ::1:3128", "[::1]:3128"),
            (["HTTPS_PROXY": "https://127.0.0.1"], "only the proxy at 127.0.0.1:443", "127.0.0.1:443"),
            (["HTTPS_PROXY": "127.0.0.1"], "only the proxy at 127.0.0.1:80", "127.0.0.1:80"),
            (["HTTPS_PROXY": "http://127.0.0.1:3128", "AGENT_NETWORK": "none"], "closed", "none"),
            (["AGENT_NETWORK": "open"], "open", "open"),
            (
                ["AGENT_NETWORK": "10.0.0.0/8:443,[2001:db8::1]:*"], "only 10.0.0.0/8:443, [2001:db8::1]:*",
                "10.0.0.0/8:443,[2001:db8::1]:*"
            ),
            (
                ["HTTP_PROXY": "http://127.0.0.1:1", "AGENT_NETWORK": "proxy,192.0.2.1:2"],
                "only the proxy at 127.0.0.1:1, 192.0.2.1:2", "127.0.0.1:1,192.0.2.1:2"
            ),
        ] as [([String: String], String, String)])
    func `commands connect to the proxy unless AGENT_NETWORK says something else`(
        changes: [String: String], words: String, policy: String
    ) throws {
        let settings = try Settings(environment: Self.least.merging(changes) { $1 })
        #expect(settings.network.words == words)
        #expect("\(settings.network.resolved())" == policy)
        #expect(settings.network.listening != .none)
    }

    @Test func `a name is looked up when a command starts, and commands then ask the name servers by TCP`() throws {
        let settings = try Settings(environment: Self.least.merging(["AGENT_NETWORK": "localhost:443"]) { $1 })
        #expect(settings.network.looksUpNames)
        guard case .only(let targets) = settings.network.resolved() else { throw NoTargets() }
        #expect(targets.contains { $0.contains(.loopback, 443) })
        #expect(!targets.contains { $0.contains(.loopback, 444) })
    }

    @Test(arguments: [
        "nothing", "proxy", "host", "host:", "host:0", "host:http", "127.1:1", "10.0.0.0/40:1", "a b:1", "x:1,",
    ])
    func `what AGENT_NETWORK does not take is refused with what it takes`(value: String) {
        let message = error(["AGENT_NETWORK": value])?.description
        #expect(message?.contains("AGENT_NETWORK") == true && message?.contains("none, proxy, open") == true)
    }

    @Test func `listening may be closed, and nothing else`() throws {
        let settings = try Settings(environment: Self.least.merging(["AGENT_NETWORK_LISTEN": "none"]) { $1 })
        #expect(settings.network.listening == .none)
        #expect(error(["AGENT_NETWORK_LISTEN": "all"])?.description.contains("loopback, none") == true)
    }

    @Test(arguments: [
        "nats://127.0.0.1:4222", "127.0.0.1", "tls://user:p@ss@nats.example:4222/", "[::1]:4222", "[::1]",
        "a:1,nats://b:2",
    ])
    func `addresses of NATS servers are accepted`(text: String) throws {
        let settings = try Settings(environment: Self.least.merging(["NATS_URL": text]) { $1 })
        #expect(settings.delivery.natsURL == text)
    }

    @Test(arguments: [
        "http://a:4222", "nats://", "nats://[nowhere", "a:port", "a:1,", "a b", "nats://u:secret@a:70000",
    ])
    func `what is no NATS server's address is refused without showing it`(text: String) throws {
        let error = try #require(throws: StartError.self) {
            try Settings(environment: Self.least.merging(["NATS_URL": text]) { $1 })
        }
        #expect(error.exit == .configuration)
        #expect(error.description.hasPrefix("NATS_URL "))
        #expect(!error.description.contains("secret"))
    }

    @Test func `all that is wrong is said at once, each with its name`() throws {
        let wrong = try #require(
            self.error([
                "AGENT_MAX_STEPS": "many", "AGENT_MAX_STEP": "5", "AGENT_LISTEN": "8080",
                "AGENT_NETWORK": "10.0.0.0/40:1",
                "AGENT_SNAPSHOT_URL": "ftp://x", "AGENT_TASK_FILE": "/x", "WORKSPACE_PATH": "here", "JOB_ID": "a b",
            ]))
        #expect(wrong.exit == .configuration)
        #expect(wrong.description.hasPrefix("8 settings are wrong: (1) "), "\(wrong)")
        for name in [
            "AGENT_MAX_STEPS is", "AGENT_MAX_STEP in", "AGENT_LISTEN is", "AGENT_NETWORK has", "AGENT_SNAPSHOT_URL is",
            "AGENT_TASK and AGENT_TASK_FILE", "WORKSPACE_PATH is", "JOB_ID is",
        ] {
            #expect(wrong.description.contains(name), "\(name): \(wrong)")
        }
        #expect(!wrong.description.contains("\n"))
    }

    @Test func `a hundred wrong settings are counted, and twenty told`() throws {
        let wrong = (0..<100).map { ("AGENT_NO_SUCH_\($0)", "x") }
        let told = try #require(self.error(Dictionary(wrong) { one, _ in one })).description
        #expect(told.hasPrefix("100 settings are wrong") && told.hasSuffix("… and 80 more"))
    }

    @Test func `nothing of ours may lie in a place that a command is granted`() {
        // The list itself, whatever is added to it: the rules of the jail are tested against the same (GrantsTests).
        for place in JailGrants.places {
            let refused = error(["AGENT_SECRETS_DIR": canonicalPath(place.path) + "/secrets"])
            #expect(refused?.exit == .configuration, "\(place.path)")
            #expect(refused?.description.contains("AGENT_SECRETS_DIR") == true, "\(place.path)")
        }
    }

    @Test(arguments: ["AGENT_CONFIG", "LD_PRELOAD", "LD_LIBRARY_PATH"])
    func `what a command could exchange is refused`(name: String) throws {
        let folders = try Folders(environment: Self.least)
        let environment = [name: "/srv/w/project/x"]
        let error = #expect(throws: StartError.self) { try folders.refuseWritablePrograms(environment: environment) }
        #expect(error?.exit == .configuration)
        #expect(error?.description.contains("\(name) /srv/w/project/x lies in AGENT_PROJECT_DIR") == true)
        #expect(throws: Never.self) { try folders.refuseWritablePrograms(environment: [name: "/srv/w/x"]) }
    }

    @Test func `a program that lies where commands can write is refused`() throws {
        let here = try #require(programFolder())
        let folders = try Folders(environment: Self.least.merging(["AGENT_PROJECT_DIR": here]) { $1 })
        let error = #expect(throws: StartError.self) { try folders.refuseWritablePrograms(environment: [:]) }
        #expect(error?.description.contains(here) == true && error?.description.contains("AGENT_PROJECT_DIR") == true)
    }

    @Test func `what is loaded to be executed is known, and data that is mapped is none of it`() throws {
        let folder = try TemporaryFolder()
        try folder.write("data", String(repeating: "x", count: 4096))
        let file = Descriptor(adopting: open("\(folder.path)/data", O_RDONLY | O_CLOEXEC))
        let mapped = mmap(nil, 4096, PROT_READ, MAP_SHARED, file.number, 0)
        defer { munmap(mapped, 4096) }
        let loaded = loadedFiles()
        #expect(loaded.contains { $0.contains("libsqlite3") || $0.contains("libc.so") })
        #expect(!loaded.contains("\(folder.path)/data"))
    }

    // MARK: The task

    private func settings(_ changes: [String: String], without names: String...) throws -> Settings {
        try Settings(environment: Self.least.merging(changes) { $1 }.filter { !names.contains($0.key) })
    }

    @Test func `a job that has not begun needs a task, or a way for one to come`() throws {
        let none = try settings([:], without: "AGENT_TASK")
        #expect(throws: Settings.missingTask) { try none.task(begun: nil) }
        #expect(try settings(["NATS_URL": "nats://127.0.0.1:4222"], without: "AGENT_TASK").task(begun: nil) == nil)
        #expect(try settings([:]).task(begun: nil)?.text == "Do it")
    }

    @Test func `a job that has begun needs none, and keeps its own`() throws {
        #expect(try settings([:], without: "AGENT_TASK").task(begun: "Do it") == nil)
        #expect(try settings([:]).task(begun: " Do it\n") == nil)
    }

    @Test func `another task for a job that has begun is refused with the beginnings of both`() throws {
        let other = try settings(["AGENT_TASK": "Do something else,\nand " + String(repeating: "more ", count: 50)])
        let error = #expect(throws: StartError.self) { try other.task(begun: "Do it") }
        #expect(error?.exit == .configuration)
        let words = error?.description ?? ""
        #expect(words.contains("\"Do something else, and more") && words.contains("…\"") && words.contains("\"Do it\""))
        #expect(words.contains("JOB_ID") && words.contains("AGENT_TASK") && words.utf8.count < 500)
    }

    @Test func `a task's file that is gone, or that commands can write, says nothing against the job`() throws {
        let folder = try TemporaryFolder()
        let changes = ["WORKSPACE_PATH": folder.path, "AGENT_TASK_FILE": folder.path + "/project/TASK"]
        let settings = try settings(changes, without: "AGENT_TASK")
        #expect(try settings.task(begun: "Do it") == nil)
        try makeFolder(folder.path + "/project")
        try folder.write("project/TASK", "Do something else")
        #expect(try settings.task(begun: "Do it") == nil)
        try folder.write("TASK", "Do something else")
        let outside = changes.merging(["AGENT_TASK_FILE": folder.path + "/TASK"]) { $1 }
        #expect(throws: StartError.self) { try self.settings(outside, without: "AGENT_TASK").task(begun: "Do it") }
    }

    // MARK: The model

    @Test func `the models that are taken by themselves exist, and where there is none one must be named`() throws {
        #expect(try settings([:]).model.model(for: .anthropic) == "claude-sonnet-4-6")
        let error = #expect(throws: StartError.self) { try settings([:]).model.model(for: .openai) }
        #expect(error?.exit == .configuration && error?.description.contains("AGENT_MODEL") == true)
        #expect(try settings(["AGENT_MODEL": "m"]).model.model(for: .openai) == "m")
    }
}

struct SecretsTests {
    private func key(
        _ files: [String: String], provider: String? = nil, environment present: [String: String] = [:]
    ) throws -> String {
        let folder = try TemporaryFolder()
        for (name, text) in files { try folder.write(name, text) }
        var environment = ["JOB_ID": "j", "AGENT_TASK": "t", "WORKSPACE_PATH": "/srv/w"]
        environment["AGENT_PROVIDER"] = provider
        let (api, key) = try Secrets(folder: folder.path).key(
            for: try Settings(environment: environment).model, environment: present)
        return "\(api) \(key)"
    }

    @Test func `the key file tells the provider`() throws {
        #expect(try key(["anthropic-api-key": "k\n"]) == "anthropic k")
        #expect(try key(["OPENAI_API_KEY": "k"]) == "openai k")
    }

    @Test func `two keys need a choice, none and a missing folder are not permitted`() throws {
        let both = ["anthropic-api-key": "a", "openai-api-key": "o"]
        #expect(try key(both, provider: "openai") == "openai o")
        for (files, provider, exit) in [
            (both, nil, .configuration), ([:], nil, .notPermitted),
            (["anthropic-api-key": "a"], "openai", .notPermitted),
        ] as [([String: String], String?, ExitCode)] {
            #expect { try key(files, provider: provider) } throws: { ($0 as? StartError)?.exit == exit }
        }
        #expect { try Secrets(folder: "/no/such/folder") } throws: { ($0 as? StartError)?.exit == .notPermitted }
    }

    @Test func `a file of more than 64 KiB is no secret, and refused`() throws {
        #expect(try key(["anthropic-api-key": "k", "big": String(repeating: "x", count: 64 << 10)]) == "anthropic k")
        #expect { try key(["anthropic-api-key": "k", "big": String(repeating: "x", count: (64 << 10) + 1)]) } throws: {
            ($0 as? StartError)?.exit == .notPermitted && "\($0)".contains("big")
        }
    }

    @Test func `a task's file has at most 1 MiB`() throws {
        let folder = try TemporaryFolder()
        func refusal(_ size: Int) throws -> String? {
            try folder.write("task", String(repeating: "x", count: size))
            let settings = try Settings(
                environment: ["JOB_ID": "j", "AGENT_TASK_FILE": folder.path + "/task", "WORKSPACE_PATH": "/srv/w"])
            do { return try settings.readTask() == nil ? "none" : nil } catch { return "\(error)" }
        }
        #expect(try refusal(1 << 20) == nil)
        #expect(try refusal((1 << 20) + 1)?.contains("accepted: a file of at most 1 MiB") == true)
    }

    @Test func `an empty key file and a key in the environment are named`() throws {
        func told(_ files: [String: String], _ environment: [String: String] = [:]) -> String {
            do { return try key(files, environment: environment) } catch { return "\(error)" }
        }
        #expect(told(["anthropic-api-key": "\n"]).hasSuffix("/anthropic-api-key is empty; put the key into it"))
        let text = told([:], ["OPENAI_API_KEY": "sk-secret"])
        #expect(text.contains("OPENAI_API_KEY is in the environment") && !text.contains("sk-secret"))
        #expect(text.contains("mount the Secret as files at "))
        // What is in a file is used, whatever the environment has.
        #expect(told(["anthropic-api-key": "k"], ["OPENAI_API_KEY": "sk-secret"]) == "anthropic k")
    }
}

private struct NoTargets: Error {}
