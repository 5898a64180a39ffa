import Contracts
import Testing

@Suite struct JobIDTests {
    @Test(arguments: ["a", "Z", "0", "_", "-", "job_1-B", String(repeating: "x", count: 128)])
    func `letters, digits, _ and - up to 128 are a job's name`(text: String) {
        #expect(JobID(text)?.text == text)
    }

    @Test(arguments: [
        "", "a.b", "a b", "a/b", "..", "ä", "a\n", "a*", "a>", "a\u{301}", "\0", String(repeating: "x", count: 129),
    ])
    func `what is not one NATS token and one file name is refused`(text: String) {
        #expect(JobID(text) == nil)
    }

    @Test(arguments: 0..<500 as Range<UInt64>)
    func `a name that is accepted has no other character`(seed: UInt64) {
        var generator = Generator(seed: seed)
        let text = generator.text()
        let allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-".utf8
        let isName = !text.isEmpty && text.utf8.allSatisfy { allowed.contains($0) }
        #expect((JobID(text) != nil) == isName, "seed \(seed)")
    }
}
