/// How long one exchange may take, stage by stage. All in milliseconds.
///
/// There is no deadline for the whole: a long answer that keeps coming is a good answer.
package struct HTTPDeadlines: Equatable, Sendable {
    /// Name resolution, TCP, proxy and TLS.
    package var connect: Int64 = 10_000
    /// From the start to the first byte of the answer: a model may think long before it speaks.
    package var firstByte: Int64 = 300_000
    /// Between two bytes.
    package var byteIdle: Int64 = 300_000
    /// Between two pieces of the answer: pings and comments do not count.
    package var progressIdle: Int64 = 600_000
    /// After an answer that is already whole, for what may still follow (usage, `[DONE]`): some servers send nothing
    /// more and keep the connection open.
    package var trailer: Int64 = 10_000

    package init() {}
}

/// How much one exchange may bring. All in bytes.
package struct HTTPLimits: Equatable, Sendable {
    /// One server-sent event.
    package var event = 16 << 20
    /// A whole answer, decompressed.
    package var body = 64 << 20
    /// The body of an error; what is beyond it is not read.
    package var errorBody = 1 << 20
    /// Status line and headers, interim responses included.
    package var head = 256 << 10

    package init() {}
}
