import Contracts
import Glibc
import Jail
import JailConformance
import LinuxSystem
import Testing

/// What a process can still do in the domain of a `Confinement`: tried by a program that is started in it.
@Suite struct ConfinementTests {
    /// The error of each attempt, a line of Python, by its own number; 0 is success.
    private func outcomes(
        of attempts: [String], in scene: borrowing Scene, confined: Bool = true,
        change: (inout Confinement) -> Void = { _ in }
    ) throws -> [Int32] {
        var places = Confinement()
        places.commands = [scene.project]
        places.work = [scene.home]
        places.programs = ["/usr", "/bin", "/lib", "/lib64"]
        places.reading = ["/etc", scene.temporary, "/no/such/place"]
        change(&places)
        // Landlock takes no domain that closes nothing, and every one closes renaming between folders.
        var free = JailPlan()
        free.deny(.refer)
        free.grant(.refer, beneath: "/")
        let plan = confined ? try places.plan(on: Kernel.probe()) : free
        return try attempts.map { attempt in
            let request = JailRequest(
                profile: .tactical, project: scene.project, home: scene.home, temporary: scene.temporary,
                timeout: 60_000, grace: 0, environment: ["PATH=/usr/bin:/bin"],
                command: ["/usr/bin/python3", "-IS", "-c", Self.program(attempt, scene)])
            let launch = try Launch(request, plan)
            let pid = try launch.start().pid
            var status: Int32 = 0
            while waitpid(pid, &status, 0) < 0 { guard errno == EINTR else { throw SystemError.last("waitpid") } }
            if let failure = launch.failure() { throw failure }
            return ProcessEnd(status: status).shellCode
        }
    }

    private static func program(_ attempt: String, _ scene: borrowing Scene) -> String {
        """
        import os, socket, sys
        commands, work, reading, outside = '\(scene.project)', '\(scene.home)', '\(scene.temporary)', '\(scene.outside)'
        victim = \(scene.victim)
        def connect(name):
            one = socket.socket(socket.AF_UNIX); one.connect('\\0' + name)
        try: \(attempt)
        except OSError as error: sys.exit(error.errno)
        """
    }

    private static let allowed = [
        "open(commands + '/a', 'w').write('x'); os.rename(commands + '/a', commands + '/b')",
        "open(work + '/a', 'w').write('x'); os.truncate(work + '/a', 0); os.unlink(work + '/a')",
        "os.mkdir(work + '/folder'); os.rmdir(work + '/folder')",
        "os.listdir(reading); open('/etc/passwd').read()",
        "open('/dev/null', 'w').write('x'); open('/dev/urandom', 'rb').read(1)",
        "os.execv('/bin/true', ['true'])",
        "os.kill(os.getpid(), 0)",
    ]

    private static let refused = [
        "open(outside + '/secret').read()",
        "open(outside + '/new', 'w')",
        "os.unlink(outside + '/secret')",
        "os.truncate(outside + '/secret', 0)",
        "os.listdir(outside)",
        "open(reading + '/new', 'w')",
        "os.rename(work + '/../checkpoints/secret', work + '/secret')",
        "os.link(outside + '/secret', commands + '/link')",
        "os.symlink(outside + '/secret', commands + '/way'); open(commands + '/way').read()",
        "os.kill(victim, 0)",
        "open('/proc/%d/environ' % victim, 'rb').read()",
    ]

    @Test func `what is a place of its work stays open`() throws {
        let scene = try Scene()
        let outcomes = try outcomes(of: Self.allowed, in: scene)
        #expect(outcomes == Self.allowed.map { _ in 0 })
    }

    @Test func `everything else is closed, and would be open without it`() throws {
        for (index, attempt) in Self.refused.enumerated() {
            let scene = try Scene()
            let confined = try outcomes(of: [attempt], in: scene)
            _ = unlink(scene.project + "/way")
            let free = try outcomes(of: [attempt], in: scene, confined: false)
            #expect([EACCES, EPERM, EXDEV].contains(confined[0]), "\(index): \(attempt)")
            #expect(free == [0], "an attempt that fails anyway proves nothing: \(attempt)")
        }
    }

    @Test func `what is only to be written is not executed`() throws {
        let scene = try Scene()
        let copy = "import shutil; shutil.copy('/bin/true', work + '/true'); os.execv(work + '/true', ['true'])"
        let fromWork = try outcomes(of: [copy], in: scene)
        let fromCommands = try outcomes(of: [copy], in: scene) { $0.commands.append(scene.home) }
        #expect(fromWork == [EACCES] && fromCommands == [0])
    }

    @Test func `a kernel without scopes is refused, not confined by half`() {
        for landlock in [-ENOSYS, -EOPNOTSUPP, 1, Kernel.neededLandlock - 1] {
            #expect(throws: JailFailure.self) { try Confinement().plan(on: Kernel(landlock: landlock)) }
        }
    }

    @Test func `a process with several threads is refused`() {
        // A test process has many; nothing of it may have changed afterwards.
        #expect(throws: JailFailure.self) { try Confinement().enter() }
        #expect(access("/", R_OK) == 0 && open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0)
    }
}
