import Contracts
import Testing

@Suite struct JailStandbyTests {
    private static func request(_ command: [String]) -> JailRequest {
        JailRequest(
            profile: .tactical, project: "/p", home: "/h", temporary: "/t", timeout: 1, grace: 0,
            environment: ["EMPTY="], command: command)
    }

    @Test(arguments: [["true"], ["bash", "-c", ""], ["", "", ""], ["echo", "grün\n\u{1F680}"], ["--", "--wait-fd"]])
    func `a request reads back from its message, empty words included`(command: [String]) throws {
        let request = Self.request(command)
        let message = try #require(JailStandby.message(request))
        let words = message.split(separator: 0, omittingEmptySubsequences: false)
        #expect(try JailRequest(arguments: words.map { String(decoding: $0, as: UTF8.self) }) == request)
    }

    @Test func `the longest message is there, and none that is a byte longer`() throws {
        let rest = try #require(JailStandby.message(Self.request([""]))).count
        let longest = String(repeating: "x", count: JailStandby.longestRequest - rest)
        #expect(JailStandby.message(Self.request([longest]))?.count == JailStandby.longestRequest)
        #expect(JailStandby.message(Self.request([longest + "x"])) == nil)
        // A zero byte ends each word but the last, and counts too.
        #expect(JailStandby.message(Self.request([longest, ""])) == nil)
    }

    @Test func `a word with a zero byte would be two, and has no message`() {
        #expect(JailStandby.message(Self.request(["true\0false"])) == nil)
    }
}
