import Supervisor
import Testing

struct InvocationTests {
    private func invocation(_ arguments: String...) throws -> Invocation { try Invocation(["agent-init"] + arguments) }

    @Test func `asked for help it helps, and alone it was not asked`() throws {
        #expect(try Invocation([]) == .nothing)
        #expect(try invocation() == .nothing)
        #expect(try invocation("--help") == .help)
        #expect(try invocation("-h") == .help)
        #expect(try invocation("run", "--help") == .runHelp)
        #expect(try invocation("help", "run") == .runHelp)
        #expect(try invocation("help") == .agentd)
        #expect(try invocation("--version") == .version)
    }

    @Test func `run alone is the agent and run with a command is that command`() throws {
        #expect(try invocation("run") == .runAgent)
        #expect(try invocation("run", "sh", "-c", "x") == .runCommand(at: 2, .init()))
        #expect(try invocation("run", "--", "sh", "-c", "x") == .runCommand(at: 3, .init()))
        #expect(try invocation("run", "--", "--help") == .runCommand(at: 3, .init()))
        #expect(try invocation("run", "sh", "--", "--help") == .runCommand(at: 2, .init()))
    }

    @Test func `options stand before the command and are not taken from it`() throws {
        var options = CommandOptions()
        options.signalsGroup = true
        options.rewrites = [15: 2, 1: 0, 10: 15]
        options.exitCodes = [143: 0]
        options.grace = 5000
        let words = ["-g", "--rewrite", "TERM:SIGINT", "--rewrite", "HUP:0", "--rewrite", "10:15", "--remap-exit"]
        let invocation = try Invocation(["agent-init", "run"] + words + ["143:0", "--grace", "5", "sh", "-g"])
        #expect(invocation == .runCommand(at: 13, options))
        #expect(options.rewritten(15) == 2 && options.rewritten(1) == nil && options.rewritten(3) == 3)
    }

    @Test func `a subcommand's name after run is refused, unless it stands behind the dashes`() throws {
        for (name, _) in Help.subcommands {
            for options in [[], ["-g"], ["--grace", "5"]] {
                let words = ["agent-init", "run"] + options + [name]
                let error = #expect(throws: Invocation.Wrong.self) { try Invocation(words) }
                #expect(error?.description.contains("agent-init \(name); ") == true)
            }
            #expect(try invocation("run", "--", name) == .runCommand(at: 3, .init()))
        }
        #expect(try invocation("run", "doctors") == .runCommand(at: 2, .init()))
    }

    @Test func `any other word is a subcommand of agentd`() throws {
        #expect(try invocation("status", "--help") == .agentd)
        #expect(try invocation("help", "status") == .agentd)
        #expect(try invocation("no-such-thing") == .agentd)
    }

    @Test(arguments: [
        ["--nonsense"], [""], ["run", "--nonsense"], ["run", "--"], ["run", "-g"],
        ["run", "--grace", "0", "true"], ["run", "--grace"], ["run", "--rewrite", "TERM", "true"],
        ["run", "--rewrite", "TERM:NONE", "true"], ["run", "--rewrite", "0:TERM", "true"],
        ["run", "--remap-exit", "256:0", "true"], ["run", "--remap-exit", "1:2:3", "true"],
    ])
    func `what asks for nothing is refused with what to do`(arguments: [String]) throws {
        let error = try #require(throws: Invocation.Wrong.self) { try Invocation(["agent-init"] + arguments) }
        #expect(error.description.contains("agent-init "))
    }
}
