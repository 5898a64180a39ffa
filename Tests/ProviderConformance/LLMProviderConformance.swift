package import Agent
import Events
import Glibc

/// The contract of `LLMProvider`, point by point, over real HTTP.
package enum LLMProviderConformance {
    /// The key that the suite's providers use: it may occur in no error.
    package static let key = "sk-conformance-0123456789abcdef"
    package static let rotatedKey = "sk-conformance-rotated-fedcba98"

    /// One point of the contract.
    package struct Point: Sendable, CustomStringConvertible {
        package let description: String
        package let check: @Sendable (any ProviderDialect) throws -> Void

        init(_ description: String, _ check: @escaping @Sendable (any ProviderDialect) throws -> Void) {
            self.description = description
            self.check = check
        }
    }

    package static let points = answers + failures + waits + models

    package static let request = LLMRequest(
        model: "some-model", system: "Be brief.",
        messages: [Message(role: .user, content: [.text("Hi")])],
        tools: [ToolSpecification(name: "look", description: "Looks.", inputSchema: ["type": "object"])],
        maxOutputTokens: 1000)

    package static let content: [Block] = [
        .text("Hello"), .toolCall(id: "c1", name: "look", input: ["at": "x"]),
    ]
}

/// A point of the contract that does not hold.
package struct Violation: Error, CustomStringConvertible {
    package let description: String
}

func require(_ condition: Bool, _ words: @autoclosure () -> String) throws {
    if !condition { throw Violation(description: words()) }
}

/// Attends by counting, and interrupts when it is told to.
package final class CountingAttention: Attention {
    package var descriptors: [Int32] = []
    package private(set) var count = 0
    /// Interrupts as soon as one of `descriptors` can be read.
    package var interruption: Interruption?

    package init() {}

    package func attend() -> Interruption? {
        count += 1
        var set = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        return poll(&set, nfds_t(set.count), 0) > 0 ? interruption : nil
    }
}

/// One call of a provider against a script.
struct Trial {
    var reply: LLMReply?
    var error: LLMError?
    var deltas: [LLMDelta] = []
    var requests: [LoopbackServer.Request] = []
    var attended = 0

    init(
        _ dialect: any ProviderDialect, _ steps: [LoopbackServer.Step], time: ShortTimes = ShortTimes(),
        attention: CountingAttention = CountingAttention(), bell: Int32? = nil,
        request: LLMRequest = LLMProviderConformance.request
    ) throws {
        let server = try LoopbackServer([steps], bell: bell)
        defer { server.stop() }
        let provider = try dialect.makeProvider(baseURL: server.url, time: time) { nil }
        var deltas: [LLMDelta] = []
        do throws(LLMError) {
            reply = try provider.complete(request, attention: attention) { deltas.append($0) }
        } catch {
            self.error = error
        }
        self.deltas = deltas
        requests = server.requests
        attended = attention.count
    }

    func requireAnswer(_ content: [Block] = LLMProviderConformance.content) throws {
        try require(error == nil, "error: \(error.map(String.init(describing:)) ?? "")")
        try require(reply?.content == content, "content: \(reply.map { "\($0.content)" } ?? "none")")
        try requireOneRequest()
    }

    func requireError(_ kind: LLMError.Kind) throws {
        try require(reply == nil, "an answer came: \(reply.map { "\($0)" } ?? "")")
        try require(error?.kind == kind, "the error is \(error.map(String.init(describing:)) ?? "none"), not \(kind)")
        try requireOneRequest()
    }

    /// Exactly one request: the retry layer is elsewhere.
    private func requireOneRequest() throws {
        try require(requests.count == 1, "\(requests.count) requests were sent")
    }
}

extension ProviderDialect {
    var stream: [UInt8] { Array((events + ending).joined().utf8) }
}
