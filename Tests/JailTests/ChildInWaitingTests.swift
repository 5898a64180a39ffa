import Contracts
import Glibc
import Jail
import JailConformance
import LinuxSystem
import Testing

/// The command's process that is made ahead, as `Launch` uses it.
@Suite(.serialized) struct ChildInWaitingTests {
    private func asking(_ command: [String], in scene: borrowing Scene) -> JailRequest {
        JailRequest(
            profile: .tactical, project: scene.project, home: scene.home, temporary: scene.temporary, timeout: 60_000,
            grace: 0, environment: ["PATH=/usr/bin:/bin", "EMPTY=", "PLACE=ü b"], command: command)
    }

    /// A fabric with a child for requests like this one.
    private func fabric(_ request: JailRequest) throws -> JailFabric {
        var fabric = try JailFabric(try plan(request))
        fabric.makeChild()
        return fabric
    }

    private func plan(_ request: JailRequest) throws -> JailPlan {
        try JailPlan(jailRules, for: request, on: Kernel.probe())
    }

    /// Our children that wait for a command.
    private func waiting() throws -> [Int32] {
        try namesInFolder("/proc").compactMap(Int32.init).filter { process in
            guard let bytes = try? readFile("/proc/\(process)/stat", limit: 4096) else { return false }
            return String(decoding: bytes, as: UTF8.self).contains("(agent-jail next) S \(getpid()) ")
        }
    }

    /// The letter of proc_pid_stat(5).
    private func state(of child: Int32) -> Character {
        let bytes = (try? readFile("/proc/\(child)/stat", limit: 4096)) ?? []
        let text = String(decoding: bytes, as: UTF8.self)
        return text.lastIndex(of: ")").flatMap { text[$0...].dropFirst(2).first } ?? "?"
    }

    /// Runs the request in the child made ahead, to its end: how it ended; nil if it has not taken it.
    private func run(_ request: JailRequest, expected: JailRequest) throws -> ProcessEnd? {
        var launch = try Launch(request, try plan(request), fabric: try fabric(expected))
        guard let started = launch.startAhead() else { return nil }
        let pid = started.pid
        guard let reaped = reap(pid, until: .after(milliseconds: 60_000)) else {
            throw SystemError("waitpid", code: ETIMEDOUT)
        }
        if let failure = launch.failure() { throw failure }
        return reaped.end
    }

    @Test func itBecomesTheCommandWithItsWordsEnvironmentAndFolder() throws {
        let scene = try Scene()
        let script = "printf '%s|' \"$PWD\" \"$PLACE\" \"${EMPTY-unset}\" \"$@\" > made; exit 7"
        let request = asking(["sh", "-c", script, "name", "", "two words"], in: scene)
        let ran = try run(request, expected: asking(["true"], in: scene))
        #expect(ran == .exited(7))
        let made = try readFile(scene.project + "/made", limit: 4096)
        #expect(String(decoding: made, as: UTF8.self) == "\(scene.project)|ü b|||two words|")
        #expect(try waiting().isEmpty)
    }

    @Test(arguments: [SIGKILL, SIGTERM, SIGSTOP]) func oneThatHasEndedOrWasStoppedTakesNothingAndIsGone(_ signal: Int32)
        throws
    {
        let scene = try Scene()
        let request = asking(["touch", "made"], in: scene)
        var launch = try Launch(request, try plan(request), fabric: try fabric(request))
        let child = try #require(try eventually { try waiting().first })
        #expect(kill(child, signal) == 0)
        // A signal that was sent has not come yet: until it is a zombie or stopped it may be given a command, and dies with it.
        #expect(try eventually { "ZT".contains(state(of: child)) ? true : nil } == true)
        let started = launch.startAhead()
        let isNone =
            if case .none = started { true } else { false }
        #expect(isNone)
        #expect(kill(child, 0) == -1, "reaped")
        #expect(access(scene.project + "/made", F_OK) == -1)
    }

    @Test func oneThatIsNotUsedIsGone() throws {
        let scene = try Scene()
        do {
            let unused = try fabric(asking(["true"], in: scene))
            #expect(try eventually { try waiting().first } != nil)
            _ = consume unused
        }
        #expect(try waiting().isEmpty)
    }

    @Test func aRequestThatItCannotTakeLeavesNoneOfItBehind() throws {
        let scene = try Scene()
        let expected = asking(["true"], in: scene)
        var terminal = expected
        terminal.terminalDescriptor = 0
        var long = expected
        long.command = ["true", String(repeating: "x", count: 130 << 10)]
        var many = expected
        many.command = [String](repeating: "true", count: 5000)
        for request in [terminal, long, many] {
            #expect(try run(request, expected: expected) == nil)
            #expect(try waiting().isEmpty)
        }
    }

    @Test func oneThatWasMadeForAnotherPlanIsNotUsed() throws {
        let scene = try Scene()
        let request = asking(["true"], in: scene)
        var other = request
        other.limits.openFiles = 99
        #expect(try run(request, expected: other) == nil)
        #expect(try waiting().isEmpty)
    }

    @Test(arguments: [("./absent", ENOENT), ("./closed", EACCES), ("/usr", EACCES)])
    func aProgramThatCannotBeExecutedIsAFailureWithItsReason(_ program: String, _ code: Int32) throws {
        let scene = try Scene()
        close(open(scene.project + "/closed", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600))
        let request = asking([program], in: scene)
        let failure = #expect(throws: JailFailure.self) { try run(request, expected: request) }
        #expect(failure?.stage == .execute)
        #expect(failure?.code == code)
    }

    /// Looks again and again, for a while.
    private func eventually<Value>(_ look: () throws -> Value?) throws -> Value? {
        for _ in 0..<6000 {
            if let value = try look() { return value }
            usleep(10_000)
        }
        return nil
    }
}
