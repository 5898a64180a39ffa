import Agent
import CCurl
import HTTP

/// Why one request failed, and what is to be done about it.
struct S3Failure {
    enum Remedy: Equatable {
        /// None.
        case none
        /// To send it again after a pause, or after the server's wish in milliseconds.
        case again(wish: Int64?)
        /// To set the clock right, or read the credentials again, and send it once more.
        case credentials
    }

    let error: ObjectStoreError
    let remedy: Remedy
    /// The store's own code, empty if it gave none.
    var code = ""
    var status = 0

    /// A transport that failed.
    init(transport code: CURLcode, words: String, subject: String) {
        let kind: ObjectStoreError.Kind
        switch code {
        case CURLE_PARTIAL_FILE: (kind, remedy) = (.damaged, .again(wish: nil))
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL,
            CURLE_BAD_FUNCTION_ARGUMENT, CURLE_UNKNOWN_OPTION, CURLE_SSL_CERTPROBLEM:
            (kind, remedy) = (.refused, .none)
        default: (kind, remedy) = (.unavailable, .again(wish: nil))
        }
        let advice =
            switch code {
            case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CERTPROBLEM:
                "; put the authority that has signed the store's certificate into SSL_CERT_FILE, or correct AGENT_S3_ENDPOINT"
            default:
                kind == .refused
                    ? "; correct AGENT_S3_ENDPOINT" : "; look at AGENT_S3_ENDPOINT, the proxy and the network"
            }
        error = ObjectStoreError(kind, "\(subject): \(words)" + (kind == .damaged ? "" : advice))
    }

    /// What came is not what was sent.
    init(damage words: String, subject: String) {
        error = ObjectStoreError(.damaged, "\(subject): \(words)")
        remedy = .again(wish: nil)
    }

    init(_ kind: ObjectStoreError.Kind, _ words: String) {
        error = ObjectStoreError(kind, words)
        remedy = .none
    }

    /// An answer that is an error. `code` decides where there is one: its meaning is narrower than the status'.
    /// `fetches`: an object was asked for, of which there may be none.
    init(
        answer head: HTTPHead, body: [UInt8], subject: String, fetches: Bool, redaction: Redaction, now: Int64
    ) {
        let root = XMLElement(parsing: body).flatMap { $0.name == "Error" ? $0 : nil }
        let code = redaction.excerpt(root?["Code"] ?? "", limit: 100)
        let said = redaction.excerpt(root?["Message"] ?? "", limit: 500)
        let wish = RetryAfter.milliseconds(head, now: now)
        let (kind, remedy, advice): (ObjectStoreError.Kind, Remedy, String) =
            switch (code, head.status) {
            case ("NoSuchBucket", _):
                (.refused, .none, "make the bucket, or correct AGENT_SNAPSHOT_URL")
            case ("PermanentRedirect", _), ("TemporaryRedirect", _), ("AuthorizationHeaderMalformed", _),
                (_, 300..<400):
                (.refused, .none, Self.regionAdvice(head, root))
            case ("RequestTimeTooSkewed", _):
                (.forbidden, .credentials, "set this node's clock right")
            // The codes by which S3 says that it knows the key: "API Reference, Error Responses".
            case ("AccessDenied", _), ("AllAccessDisabled", _), ("AccountProblem", _):
                (
                    .forbidden, .credentials,
                    "allow the key to get, put, list and delete objects under AGENT_SNAPSHOT_URL"
                )
            case ("ExpiredToken", _), ("InvalidToken", _), ("TokenRefreshRequired", _), (_, 401), (_, 403):
                (
                    .denied, .credentials,
                    "put the right credentials into the files \(S3Credentials.keyIDFile), "
                        + "\(S3Credentials.secretKeyFile) and, for temporary ones, \(S3Credentials.tokenFile) of the "
                        + "secrets folder"
                )
            // A fault of the way is over at the next try.
            case ("BadDigest", _), ("XAmzContentSHA256Mismatch", _):
                (
                    .refused, .again(wish: wish),
                    "what arrives there is each time another than what was sent: look at the proxy, and whether the store "
                        + "takes SHA-256 checksums"
                )
            case ("IncompleteBody", _), ("RequestTimeout", _), ("SlowDown", _), ("InternalError", _),
                ("ServiceUnavailable", _),
                ("ConditionalRequestConflict", _), ("OperationAborted", _), (_, 408), (_, 409), (_, 429):
                (.unavailable, .again(wish: wish), "try again later")
            case (_, 404) where fetches: (.missing, .none, "there is none")
            case (_, 412): (.exists, .none, "there is one already")
            case (_, 501), (_, 505):
                (
                    .refused, .none,
                    "the store does not know what was asked; use one that knows S3's If-None-Match and SHA-256 checksums"
                )
            case (_, 500...): (.unavailable, .again(wish: wish), "try again later")
            default: (.refused, .none, "correct AGENT_SNAPSHOT_URL, AGENT_S3_ENDPOINT or AGENT_S3_REGION")
            }
        let words = [code, said].filter { !$0.isEmpty }.joined(separator: ": ")
        error = ObjectStoreError(
            kind, "\(subject): HTTP \(head.status)\(words.isEmpty ? "" : " \(words)"); \(advice)")
        self.remedy = remedy
        self.code = code
        status = head.status
    }

    private static func regionAdvice(_ head: HTTPHead, _ root: XMLElement?) -> String {
        let region = (head["x-amz-bucket-region"] ?? root?["Region"] ?? "").prefix(40)
            .filter { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
        return region.isEmpty
            ? "redirects are not followed; set AGENT_S3_REGION to the bucket's region, or correct AGENT_S3_ENDPOINT"
            : "set AGENT_S3_REGION to \(region)"
    }
}
