package import Events

/// What is asked of the model.
package struct LLMRequest: Sendable {
    package var model: String
    package var system: String
    /// Begins with a user message; every tool call is answered in the next one.
    package var messages: [Message]
    package var tools: [ToolSpecification]
    /// The most tokens the answer may have.
    package var maxOutputTokens: Int

    package init(
        model: String, system: String, messages: [Message], tools: [ToolSpecification], maxOutputTokens: Int
    ) {
        self.model = model
        self.system = system
        self.messages = messages
        self.tools = tools
        self.maxOutputTokens = maxOutputTokens
    }
}

/// What a tool is to the model.
package struct ToolSpecification: Equatable, Sendable {
    package let name: String
    package let description: String
    /// The JSON Schema of its input, an object.
    package let inputSchema: JSON

    package init(name: String, description: String, inputSchema: JSON) {
        self.name = name
        self.description = description
        self.inputSchema = inputSchema
    }
}

/// Tokens as the provider counted them.
package struct TokenUsage: Codable, Equatable, Sendable {
    /// All input, cached included.
    package var input: Int
    package var output: Int
    /// Of the input: read from the provider's cache, and written to it.
    package var cacheRead: Int
    package var cacheWrite: Int

    package init(input: Int = 0, output: Int = 0, cacheRead: Int = 0, cacheWrite: Int = 0) {
        self.input = input
        self.output = output
        self.cacheRead = cacheRead
        self.cacheWrite = cacheWrite
    }

    /// Whether the provider counted at all: no request is without input and no answer without output, so a zero is a
    /// server that does not count.
    package var isTold: Bool { input > 0 && output > 0 }
}

/// Why the model stopped.
package enum StopReason: String, Codable, Sendable {
    case endTurn = "end_turn"
    case toolUse = "tool_use"
    /// The answer was cut at `maxOutputTokens`. A tool call whose JSON was cut is not in the reply.
    case maxTokens = "max_tokens"
    case refusal
    /// The provider paused a long turn: send the conversation back as it is.
    case pauseTurn = "pause_turn"
    /// The conversation no longer fits the model's window.
    case contextWindow = "context_window"
}

/// A whole answer: never a part of one.
package struct LLMReply: Equatable, Sendable {
    package var content: [Block]
    package var stop: StopReason
    /// Nil if the provider did not say.
    package var usage: TokenUsage?
    /// The model that answered, and the provider's name for the request, if it said so.
    package var model: String?
    package var requestID: String?

    package init(
        content: [Block], stop: StopReason, usage: TokenUsage? = nil, model: String? = nil, requestID: String? = nil
    ) {
        self.content = content
        self.stop = stop
        self.usage = usage
        self.model = model
        self.requestID = requestID
    }
}

/// A piece of an answer as it comes: for display only.
package enum LLMDelta: Equatable, Sendable {
    case text(String)
    case thinking(String)
}

/// Why there is no answer. Whatever had come of it is dropped.
package struct LLMError: Error, Equatable, CustomStringConvertible {
    package enum Kind: String, Codable, Sendable {
        /// Worth another try: connection, TLS, reset, timeout; 408, 409, 429, ≥500, 529; a cut stream.
        case network, timeout, rateLimited = "rate_limited", overloaded, server, truncated
        /// Not worth another try.
        case authentication, quota, overflow, invalidRequest = "invalid_request", protocolError = "protocol"
        /// The wait was interrupted by us.
        case interrupted
    }

    package var kind: Kind
    /// For the log: the provider's own words where there are any, never a key.
    package var message: String
    /// HTTP status, if an answer came.
    package var status: Int?
    /// The provider's wish, in milliseconds: a floor for the next delay.
    package var retryAfter: Int64?
    /// `x-should-retry`, if the provider sent it: overrules the kind.
    package var shouldRetry: Bool?
    /// Of `authentication`: the provider knows the key, and says that it may not do this. To wait for another is of no use.
    package var isForbidden: Bool

    package init(
        _ kind: Kind, _ message: String, status: Int? = nil, retryAfter: Int64? = nil, shouldRetry: Bool? = nil,
        isForbidden: Bool = false
    ) {
        self.kind = kind
        self.message = message
        self.status = status
        self.retryAfter = retryAfter
        self.shouldRetry = shouldRetry
        self.isForbidden = isForbidden
    }

    package var isRetryable: Bool {
        switch kind {
        case .network, .timeout, .rateLimited, .overloaded, .server, .truncated: shouldRetry ?? true
        case .authentication, .quota, .overflow, .invalidRequest, .protocolError, .interrupted: false
        }
    }

    package var description: String {
        let place = status.map { " (HTTP \($0))" } ?? ""
        return "\(kind.rawValue)\(place): \(message)"
    }
}

/// The seam to a language model.
///
/// Contract, which `LLMProviderConformance` tries on every implementation over real HTTP:
/// - `complete` sends exactly one request and returns only a whole answer: the provider's terminal event was seen. A
///   stream that ends without it is `truncated`, whatever the transport says.
/// - It never retries by itself: there is one retry layer, in the loop, and it is durable.
/// - It reads its key anew before each request: one that was rotated is used from the next request on. A key that cannot
///   be read, or cannot be sent, is passed over for the last one that could. No key that it has used is in an error.
/// - It is called on the loop's thread, and waits through `attention`; it returns within a second of an interruption,
///   with `interrupted`. Its deadlines: connect 10 s, first byte 300 s, idle 300 s, no progress but pings 600 s.
/// - Its memory is bounded whatever the server sends: an event of at most 16 MiB, an answer of at most 64 MiB.
/// - `onDelta` is called on the same thread, in order, before `complete` returns; it must not throw the answer away.
package protocol LLMProvider: AnyObject {
    /// `anthropic`, `openai`.
    var name: String { get }
    /// Whether there is another key now than the one that was sent last.
    var hasOtherKey: Bool { get }
    func complete(
        _ request: LLMRequest, attention: any Attention, onDelta: (LLMDelta) -> Void
    ) throws(LLMError) -> LLMReply

    /// Asks the server for its models, with the key, which spends nothing.
    ///
    /// - Returns: the first of them, as many as it names at once; nil if it has no such list, and then has not said whether
    ///   the key is good.
    /// - Throws: `LLMError` as `complete`.
    func models(attention: any Attention) throws(LLMError) -> [String]?
}
