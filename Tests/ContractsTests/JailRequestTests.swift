import Contracts
import Testing

@Suite struct JailRequestTests {
    private static let least = [
        "--profile", "tactical", "--project", "/p", "--home", "/h", "--tmp", "/t", "--timeout-ms", "1", "--grace-ms",
        "0",
        "--", "true",
    ]

    @Test(arguments: 0..<2000 as Range<UInt64>)
    func `every request reads back from its command line`(seed: UInt64) throws {
        var generator = Generator(seed: seed)
        var request = JailRequest(
            profile: generator.bool() ? .strategic : .tactical, project: "/" + generator.argument(),
            home: "/" + generator.argument(), temporary: "/" + generator.argument(),
            timeout: generator.number(1...JailRequest.longestWait),
            grace: generator.number(0...JailRequest.longestWait),
            command: (0..<generator.number(1...4)).map { _ in generator.argument() })
        if generator.bool() { request.workingDirectory = "/" + generator.argument() }
        if generator.bool() { request.network = generator.policy() }
        if generator.bool() { request.listening = .loopback(.random()) }
        if generator.bool() { request.reportDescriptor = generator.number(3...Int32.max) }
        if generator.bool() { request.terminalDescriptor = generator.number(0...2) }
        if generator.bool() { request.controlDescriptor = generator.number(3...Int32.max) }
        if generator.bool() { request.limits.memoryPercent = generator.number(JailLimits.memoryPercents) }
        if generator.bool() { request.limits.memory = generator.number(JailLimits.memories) }
        if generator.bool() { request.limits.diskReserve = generator.number(JailLimits.diskReserves) }
        if generator.bool() { request.limits.watchedFolder = "/" + generator.argument() }
        if generator.bool() { request.limits.fileSize = generator.number(JailLimits.fileSizes) }
        if generator.bool() { request.limits.openFiles = generator.number(JailLimits.openFileCounts) }
        request.environment = (0..<generator.number(0...4)).map { _ in generator.key() + "=" + generator.argument() }
        request.tools = (0..<generator.number(0...3)).map { _ in "/" + generator.argument() }
        #expect(try JailRequest(arguments: request.arguments) == request, "seed \(seed)")
    }

    @Test func `a command may look like an option, and a second -- is its own`() throws {
        let request = try JailRequest(arguments: Self.least.dropLast() + ["--profile", "--", "x"])
        #expect(request.command == ["--profile", "--", "x"])
    }

    @Test(arguments: ["--profile", "--project", "--home", "--tmp", "--timeout-ms", "--grace-ms"])
    func `what is needed is asked for by name`(option: String) throws {
        let place = try #require(Self.least.firstIndex(of: option))
        var arguments = Self.least
        arguments.removeSubrange(place...(place + 1))
        #expect(throws: JailUsageError("\(option) is missing")) { try JailRequest(arguments: arguments) }
    }

    @Test(arguments: [
        (["--what", "x"], "unknown option --what"),
        (["--home", "/again"], "--home is given twice"),
        (["--cwd", "here"], "--cwd here: an absolute path is wanted"),
        (
            ["--listen", "everywhere"],
            "--listen everywhere: none, loopback, or an even address of 127.64.0.0/10 is wanted"
        ),
        (["--report-fd", "2"], "--report-fd 2: a number from 3 to 2147483647 is wanted"),
        (["--control-fd", "x"], "--control-fd x: a number from 3 to 2147483647 is wanted"),
        (["--memory-percent", "49"], "--memory-percent 49: a number from 50 to 100 is wanted"),
        (["--memory-mib", "0"], "--memory-mib 0: a number from 16 to 16777216 is wanted"),
        (["--disk-watch", "here"], "--disk-watch here: an absolute path is wanted"),
        (["--env", "NAME"], "--env NAME: NAME=value is wanted"),
        (["--env", "=value"], "--env =value: NAME=value is wanted"),
    ])
    func `what is wrong is said with what is accepted`(options: [String], message: String) {
        #expect(throws: JailUsageError(message)) { try JailRequest(arguments: options + Self.least) }
    }

    @Test func `no wait is without end`() {
        var arguments = Self.least
        arguments[9] = String(JailRequest.longestWait + 1)
        #expect(throws: JailUsageError.self) { try JailRequest(arguments: arguments) }
    }

    @Test(arguments: [["--home"], [], ["--"]])
    func `a command line that ends too early is refused`(arguments: [String]) {
        #expect(throws: JailUsageError.self) { try JailRequest(arguments: arguments) }
    }

    @Test func `a profile that does not exist is refused with those that do`() {
        var arguments = Self.least
        arguments[1] = "loose"
        #expect(throws: JailUsageError("--profile loose: one of strategic, tactical is wanted")) {
            try JailRequest(arguments: arguments)
        }
    }
}
