import Agent
import AgentFixtures
import Contracts
import Events
import Testing

struct ExecTests {
    // MARK: A result for machines

    private func outcome(_ end: JailReport.End) -> ExecOutcome { ExecOutcome(report: JailReport(end: end)) }

    @Test func `the exit code is what a shell would give`() {
        #expect(outcome(.exited(3)).exitCode == 3)
        #expect(outcome(.signaled(11)).exitCode == 139)
        #expect(outcome(.timedOut).exitCode == 124)
        #expect(outcome(.exhausted(.memory, message: "")).exitCode == 137)
        #expect(outcome(.notStarted(.execute, errno: 2, message: "")).exitCode == 127)
        #expect(outcome(.notStarted(.execute, errno: 13, message: "")).exitCode == 126)
        #expect(outcome(.notStarted(.kernel, errno: 38, message: "")).exitCode == 125)
        #expect(outcome(.lost(errno: 0, message: "")).exitCode == 123)
        var ended = outcome(.cancelled)
        #expect(ended.exitCode == 137)
        ended.readerHasGone = true
        #expect(ended.exitCode == 141)
        ended.signal = 15
        #expect(ended.exitCode == 143, "we were told first")
    }

    private func parts(_ head: [UInt8], _ tail: [UInt8], bytes: Int) -> OutputCapture.Parts {
        var parts = OutputCapture.Parts()
        (parts.head, parts.tail, parts.bytes) = (head, tail, bytes)
        return parts
    }

    @Test func `an output that is cut is cut between characters, and every byte is accounted for`() {
        let smile = Array("\u{1f600}".utf8)
        for cut in 1...3 {
            let json = parts([65] + smile.prefix(cut), smile.suffix(cut) + [66], bytes: 1000).json
            #expect(json["encoding"] == "utf-8" && json["head"] == "A" && json["tail"] == "B", "\(cut)")
            #expect(json["omitted_bytes"] == .int(998))
        }
        let whole = parts(smile, [], bytes: 4).json
        #expect(whole["head"] == "\u{1f600}" && whole["omitted_bytes"] == 0)
    }

    @Test func `what is no text is base64, also where it is only cut short at the end of all`() {
        #expect(parts([0xff, 0], [], bytes: 2).json["head"] == "/wA=")
        #expect(parts([0xf0, 0x9f], [], bytes: 2).json["encoding"] == "base64")
        #expect(parts([], [], bytes: 0).json["head"] == "")
    }

    // MARK: What commands find in their environment

    private let folders: Folders

    init() throws {
        folders = try Settings(environment: ["JOB_ID": "j", "AGENT_TASK": "t", "WORKSPACE_PATH": "/srv/w"]).folders
    }

    private func settings(_ changes: [String: String]) throws(StartError) -> CommandEnvironment {
        try SandboxSettings(environment: ["WORKSPACE_PATH": "/srv/w"].merging(changes) { $1 }).environment
    }

    @Test func `neither a job nor a task nor secrets are needed`() throws {
        let settings = try SandboxSettings(environment: ["WORKSPACE_PATH": "/srv/w"])
        #expect(settings.folders.project == "/srv/w/project")
        #expect(settings.timeout == 600_000)
        #expect(settings.limits.watchedFolder == "/srv/w/project")
    }

    @Test func `variables are passed on by name, and each stands once`() throws {
        var environment = try settings(["AGENT_COMMAND_ENV": "A, LANG\nB", "A": "1", "B": "", "LANG": "C", "C": "3"])
        #expect(environment.additions == ["A": "1", "B": "", "LANG": "C"])
        environment.set("A", "2")
        let proxy = try SandboxSettings(environment: ["WORKSPACE_PATH": "/srv/w", "HTTP_PROXY": "http://127.0.0.1:1"])
        let entries = environment.entries(folders: folders, proxy: proxy.proxy, network: proxy.network)
        let names = entries.map { $0.prefix { $0 != "=" } }
        #expect(Set(names).count == names.count)
        #expect(
            Set(entries).isSuperset(of: ["A=2", "B=", "LANG=C", "HOME=/srv/w/home", "http_proxy=http://127.0.0.1:1"]))
    }

    @Test(arguments: [
        "AGENT_X", "JOB_ID", "NATS_URL", "HOME", "HTTPS_PROXY", "http_proxy", "API_KEY", "APIKEY", "GH_TOKEN",
        "MY_SECRET_NAME", "db_password", "1A", "A-B", "Ä",
    ])
    func `a setting, a name of ours and a secret's name are refused by name`(name: String) {
        #expect(throws: StartError.self) { try settings(["AGENT_COMMAND_ENV": name, name: "x"]) }
        do throws(StartError) {
            _ = try settings(["AGENT_COMMAND_ENV": name, name: "x"])
        } catch {
            #expect(error.exit == .configuration && error.description.contains(name))
        }
    }

    @Test(arguments: ["KEYBOARD", "TOKENIZERS_PARALLELISM", "CARGO_HOME", "_", "a1"])
    func `an ordinary name is passed on`(name: String) throws {
        #expect(try settings(["AGENT_COMMAND_ENV": name, name: "x"]).additions == [name: "x"])
    }

    // MARK: A diagnosis

    @Test func `without the jail nothing else matters, and without anything bad all is well`() {
        func said(_ diagnosis: Diagnosis) -> String {
            String(diagnosis.table(isColoured: false).split(separator: "\n").last ?? "")
        }
        var diagnosis = Diagnosis()
        diagnosis.findings = [Finding("kernel", "b", .weak, "x", open: "one thing")]
        #expect(diagnosis.exit == .completed && said(diagnosis).contains("No job was looked at"))
        diagnosis.looksAtJob = true
        #expect(said(diagnosis).contains("nothing stands in the way of this job"))
        diagnosis.findings.append(Finding("job", "NATS", .bad, "x", remedy: "do", exit: .tryAgain))
        #expect(diagnosis.exit == .tryAgain)
        diagnosis.findings.append(Finding("folders", "c", .bad, "x", remedy: "do", exit: .configuration))
        #expect(diagnosis.exit == .configuration && diagnosis.json["enforceable"] == true)
        diagnosis.findings.append(Finding("job", "LLM", .bad, "x", remedy: "do"))
        #expect(diagnosis.exit == .notPermitted && diagnosis.json["enforceable"] == true)
        #expect(
            said(diagnosis) == "The jail is enforced, but a job cannot run (exit 77): job: NATS, folders: c, job: LLM.")
        diagnosis.findings.append(Finding("kernel", "d", .bad, "x", remedy: "do"))
        #expect(diagnosis.exit == .notPermitted && diagnosis.json["enforceable"] == false)
        #expect(diagnosis.json["not_enforced"]?.array?.first == "one thing")
        #expect(diagnosis.table(isColoured: false).contains("NOT enforced here (exit 77): job: NATS, folders: c,"))
        #expect(diagnosis.table(isColoured: true).contains("\u{1b}[1;31mBAD "))
    }
}
