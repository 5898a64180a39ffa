import Contracts
import Testing

@Suite struct NetworkPolicyTests {
    @Test(arguments: 0..<2000 as Range<UInt64>)
    func `every policy reads back from its text`(seed: UInt64) {
        var generator = Generator(seed: seed)
        let policy = generator.policy()
        #expect(NetworkPolicy("\(policy)") == policy, "seed \(seed): \(policy)")
    }

    @Test(arguments: [
        "", "nothing", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:+1", "127.0.0.1:1,",
        "10.0.0.0/33:1", "10.0.0.0/-1:1", "10.0.0.0/:1", "10.0.0.0/8/8:1", "::1:443", "[127.0.0.1]:1", "[::1]",
        "host:1",
        "none,127.0.0.1:1", "127.1:1", "0x7f.0.0.1:1", "[::1%lo]:1", " 127.0.0.1:1",
    ])
    func `what is no list of targets is refused`(text: String) {
        #expect(NetworkPolicy(text) == nil)
    }

    @Test(
        arguments: [
            ("127.0.0.1:3128", "127.0.0.1", 3128, true),
            ("127.0.0.1:3128", "127.0.0.1", 3129, false),
            ("127.0.0.1:3128", "127.0.0.2", 3128, false),
            ("127.0.0.1:3128", "10.1.2.3", 3128, false),
            // The kernel takes these two for the first.
            ("127.0.0.1:3128", "::ffff:127.0.0.1", 3128, true),
            ("127.0.0.1:3128", "0.0.0.0", 3128, true),
            ("127.0.0.1:3128", "::ffff:0.0.0.0", 3128, true),
            ("127.0.0.1:3128", "::1", 3128, false),
            ("[::1]:*", "::", 9, true),
            ("10.0.0.0/8:*", "10.255.1.2", 1, true),
            ("10.0.0.0/8:*", "11.0.0.1", 1, false),
            ("10.0.0.0/8:*", "::10.0.0.1", 1, false),
            ("10.128.0.0/9:443", "10.127.255.255", 443, false),
            ("0.0.0.0/0:443", "192.0.2.1", 443, true),
            ("0.0.0.0/0:443", "2001:db8::1", 443, false),
            ("[2001:db8::/32]:443", "2001:db8:ffff::1", 443, true),
            ("[2001:db8::/32]:443", "2001:db9::1", 443, false),
            ("192.0.2.1:1,192.0.2.2:2", "192.0.2.2", 2, true),
            ("none", "127.0.0.1", 1, false),
            ("open", "192.0.2.1", 1, true),
        ] as [(String, String, UInt16, Bool)])
    func `it allows what it names and nothing else`(policy: String, address: String, port: UInt16, allowed: Bool) throws
    {
        let policy = try #require(NetworkPolicy(policy))
        let address = try #require(IPAddress(address))
        #expect(policy.allows(address, port) == allowed)
    }
}

@Suite struct JailViolationTests {
    @Test(arguments: 0..<2000 as Range<UInt64>)
    func `every violation reads back from its line`(seed: UInt64) throws {
        var generator = Generator(seed: seed)
        let kind = try #require(JailViolation.Kind.allCases.randomElement(using: &generator))
        let violation = JailViolation(
            kind, target: generator.text(), pid: generator.number(0...Int32.max), program: generator.text(),
            count: generator.number(1...Int.max))
        #expect(JailViolation(line: violation.line) == violation, "seed \(seed)")
        #expect(JailReport(line: violation.line) == nil, "it is never taken for the report itself")
    }

    @Test func `equal ones are counted, and of different ones only so many are kept`() {
        var violations = JailViolations()
        for target in 0..<50 { for _ in 0..<2 { violations.add(.connect, target: "\(target)", pid: 1, program: "p") } }
        #expect(violations.all.count == JailViolations.limit)
        #expect(violations.all.allSatisfy { $0.count == 2 })
        #expect(violations.unlisted == 36)
        var read = JailViolations()
        let taken = violations.lines.map { read.take(line: $0) }
        #expect(!taken.contains(false))
        #expect(read == violations)
        let end = JailReport(end: .exited(0))
        let isTaken = read.take(line: end.line)
        #expect(!isTaken)
        var report = end
        report.violations = violations
        #expect(JailReport(text: report.lines.joined(separator: "\n") + "\n") == report)
        #expect(JailReport(text: violations.lines.joined(separator: "\n")) == nil)
    }
}
