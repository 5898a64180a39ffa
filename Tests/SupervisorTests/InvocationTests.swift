import Supervisor
import Testing

struct InvocationTests {
    private func invocation(_ arguments: String...) throws -> Invocation { try Invocation(["agent-init"] + arguments) }

    @Test func `alone or asked for help it helps`() throws {
        #expect(try Invocation([]) == .help)
        for arguments in [[], ["--help"], ["-h"]] {
            #expect(try Invocation(["agent-init"] + arguments) == .help)
        }
        #expect(try invocation("run", "--help") == .runHelp)
        #expect(try invocation("--version") == .version)
    }

    @Test func `run alone is the agent and run with a command is that command`() throws {
        #expect(try invocation("run") == .runAgent)
        #expect(try invocation("run", "sh", "-c", "x") == .runCommand(at: 2))
        #expect(try invocation("run", "--", "sh", "-c", "x") == .runCommand(at: 3))
        #expect(try invocation("run", "--", "--help") == .runCommand(at: 3))
        #expect(try invocation("run", "sh", "--", "--help") == .runCommand(at: 2))
    }

    @Test func `any other word is a subcommand of agentd`() throws {
        #expect(try invocation("status", "--help") == .agentd)
        #expect(try invocation("help", "status") == .agentd)
        #expect(try invocation("no-such-thing") == .agentd)
    }

    @Test(arguments: [["--nonsense"], [""], ["run", "--nonsense"], ["run", "--"]])
    func `what asks for nothing is refused with what to do`(arguments: [String]) throws {
        let error = try #require(throws: Invocation.Wrong.self) { try Invocation(["agent-init"] + arguments) }
        #expect(error.description.contains("agent-init "))
    }
}
