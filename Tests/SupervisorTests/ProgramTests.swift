import Supervisor
import Testing

struct ProgramTests {
    private func code(_ name: String, in path: String) -> Int32? {
        do throws(ProgramError) {
            _ = try findProgram(name, in: path)
            return nil
        } catch {
            #expect(error.description.hasPrefix("\(name): "))
            return error.exitCode
        }
    }

    @Test func `the first executable file in PATH is taken`() throws {
        #expect(try findProgram("sh", in: "/nowhere:/etc:/bin:/usr/bin") == "/bin/sh")
        #expect(try findProgram("/bin/sh", in: "/nowhere") == "/bin/sh")
    }

    @Test func `what is nowhere is 127`() {
        #expect(code("no-such-command", in: "/bin:/usr/bin") == 127)
        #expect(code("/no/such", in: "/bin") == 127)
        #expect(code("/etc/passwd/x", in: "/bin") == 127)
        #expect(code("", in: "/bin") == 127)
    }

    @Test func `what is there and cannot be executed is 126`() {
        #expect(code("/etc/passwd", in: "/bin") == 126)
        #expect(code("passwd", in: "/nowhere:/etc") == 126)
        #expect(code("/tmp", in: "/bin") == 126)
    }

    @Test func `no process to be had is not the command's fault`() {
        #expect(ProgramError(name: "sh", found: true, code: 11).exitCode == 70)
    }
}
