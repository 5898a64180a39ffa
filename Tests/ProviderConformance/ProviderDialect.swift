package import Agent

/// What the conformance suite must know of a provider: how to make one, and how its server talks.
///
/// A new provider writes one of these and runs the whole suite.
package protocol ProviderDialect: Sendable {
    /// The provider's `name`.
    var name: String { get }

    /// A provider that talks to `baseURL` with the key `LLMProviderConformance.key`, until `currentKey` gives another.
    func makeProvider(
        baseURL: String, time: ShortTimes, currentKey: @escaping @Sendable () -> String?
    ) throws -> any LLMProvider

    /// The path that requests go to.
    var path: String { get }
    /// The events of a stream with text `Hello` in two pieces, then a call `c1` of tool `look` with input `{"at":"x"}`,
    /// without what ends it. Each element is a whole event.
    var events: [String] { get }
    /// The terminal events.
    var ending: [String] { get }
    /// An event that keeps the connection alive and means nothing.
    var ping: String { get }
    /// An event in the stream by which the server says that it is overloaded.
    var overloadedEvent: String { get }
    /// A document with the same content, for a client that did not ask for a stream.
    var document: String { get }
    /// A stream that says that the answer was cut at its limit, within the input of a call.
    var cutCall: [String] { get }
    /// A stream with a call whose input is not JSON, at an ordinary end.
    var malformedCall: [String] { get }
    /// The body of an error.
    func errorBody(type: String, message: String) -> String
}

/// Deadlines and limits that a test can wait for; nil is the provider's own. Milliseconds and bytes.
package struct ShortTimes: Sendable {
    package var connect: Int64?
    package var firstByte: Int64?
    package var byteIdle: Int64?
    package var progressIdle: Int64?
    package var trailer: Int64?
    package var eventLimit: Int?
    package var bodyLimit: Int?

    package init(
        connect: Int64? = nil, firstByte: Int64? = nil, byteIdle: Int64? = nil, progressIdle: Int64? = nil,
        trailer: Int64? = nil, eventLimit: Int? = nil, bodyLimit: Int? = nil
    ) {
        self.connect = connect
        self.firstByte = firstByte
        self.byteIdle = byteIdle
        self.progressIdle = progressIdle
        self.trailer = trailer
        self.eventLimit = eventLimit
        self.bodyLimit = bodyLimit
    }
}
