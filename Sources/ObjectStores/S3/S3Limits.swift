/// How long the store tries, and how much it takes.
package struct S3Limits: Sendable {
    /// Milliseconds: name resolution, TCP, proxy and TLS.
    package var connect = 10_000
    /// Seconds without a byte in either direction.
    package var stall = 30
    /// Milliseconds for one request, to which a second comes for each 256 KiB that are to be moved.
    package var request: Int64 = 60_000
    /// How often one request is sent at most.
    package var attempts = 6
    /// Milliseconds from the first attempt within which another may begin.
    package var patience: Int64 = 120_000
    /// Milliseconds: the pause before attempt n + 1 is a random part of `pause` · 2ⁿ, at most `longestPause`. (Full
    /// jitter: many pods that a store has refused at once must not come back at once.)
    package var pause: Int64 = 200
    package var longestPause: Int64 = 10_000
    /// Milliseconds: a longer wish of the server's (`Retry-After`) is not waited for.
    package var longestWish: Int64 = 30_000
    /// Objects in one answer to a listing, at most 1000 (S3's own limit).
    package var page = 1000
    /// Answers of one listing.
    package var pages = 1000

    /// Bytes of an answer to a listing, and of an error.
    static let listing = 8 << 20
    static let error = 64 << 10
    static let head = 64 << 10
    /// The largest object of one PUT: S3's limit.
    static let object: Int64 = 5 << 30

    package init() {}

    /// For somebody who waits: a store that is there answers in this time.
    package static let hasty: S3Limits = {
        var limits = S3Limits()
        (limits.connect, limits.stall, limits.request) = (5000, 10, 10_000)
        (limits.attempts, limits.patience) = (2, 5000)
        return limits
    }()

    /// Milliseconds for a request that moves so many bytes, at most as for the largest object (under 6 hours).
    func total(_ bytes: Int64) -> Int { Int(request + min(bytes, Self.object) / (256 << 10) * 1000) }
}
