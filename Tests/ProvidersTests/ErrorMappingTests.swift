import Agent
import Events
import HTTP
import Providers
import Testing

/// What errors mean.
struct ErrorMappingTests {
    private func error(_ status: Int, _ body: String, _ headers: String...) -> LLMError {
        testMapping.error(ErrorBody(Array(body.utf8)), head: head(["HTTP/1.1 \(status) X"] + headers))
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let status: Int
        let body: String
        let kind: LLMError.Kind

        init(_ status: Int, _ body: String, _ kind: LLMError.Kind) {
            (self.status, self.body, self.kind) = (status, body, kind)
        }

        var testDescription: String { "\(status) \(body) → \(kind.rawValue)" }
    }

    private static let table = [
        // Status alone, with bodies that say nothing.
        Row(401, "", .authentication), Row(403, "<html><title>403</title></html>", .authentication),
        Row(402, "{}", .quota), Row(404, "", .invalidRequest), Row(408, "", .timeout), Row(409, "", .server),
        Row(413, "", .overflow), Row(422, #"{"detail":[{"msg":"bad"}]}"#, .invalidRequest), Row(429, "", .rateLimited),
        Row(500, "", .server), Row(502, "<html>", .server), Row(503, "", .overloaded), Row(504, "", .server),
        Row(529, "", .overloaded), Row(307, "", .invalidRequest), Row(599, "", .server),
        // Overflow is mostly text.
        Row(
            400, #"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 > 8"}}"#,
            .overflow),
        Row(400, #"{"error":{"code":"context_length_exceeded","message":"x"}}"#, .overflow),
        Row(400, #"{"error":{"message":"This model's maximum context length is 8192 tokens."}}"#, .overflow),
        Row(400, #"{"object":"error","message":"This model's maximum context length is 9"}"#, .overflow),
        Row(500, #"{"error":{"message":"the request exceeds the available context size"}}"#, .overflow),
        Row(400, #"{"error":{"message":"input length and `max_tokens` exceed context limit: 9"}}"#, .overflow),
        // "Too large" for a minute is a matter of rate.
        Row(
            429, #"{"error":{"message":"Request too large, maximum context length is 9 per min","type":"tokens"}}"#,
            .rateLimited),
        // A key can be refused with 400.
        Row(400, #"{"error":{"code":"invalid_api_key","message":"x"}}"#, .authentication),
        Row(
            400, #"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key."}}]"#,
            .authentication),
        Row(400, #"{"type":"error","error":{"type":"authentication_error","message":"x"}}"#, .authentication),
        Row(401, #"{"error":"text only"}"#, .authentication),
        // Quota is not a matter of time.
        Row(429, #"{"error":{"type":"insufficient_quota","code":"insufficient_quota","message":"x"}}"#, .quota),
        Row(429, #"{"error":{"type":"exceeded_current_quota_error","message":"x"}}"#, .quota),
        Row(
            400, #"{"error":{"type":"invalid_request_error","message":"Your credit balance is too low to access"}}"#,
            .quota),
        Row(403, #"{"error":{"type":"billing_error","message":"x"}}"#, .quota),
        // Gemini says this of a rate: it can be tried again.
        Row(
            429,
            #"[{"error":{"code":429,"message":"You exceeded your current quota, check your plan and billing details","status":"RESOURCE_EXHAUSTED"}}]"#,
            .rateLimited),
        // The type counts where the status says little.
        Row(400, #"{"error":{"type":"overloaded_error","message":"x"}}"#, .overloaded),
        Row(503, #"{"error":{"type":"invalid_request_error","message":"x"}}"#, .overloaded),
        Row(400, #"{"error":{"type":"invalid_request_error","message":"messages: at least one"}}"#, .invalidRequest),
        Row(
            403, #"{"error":{"code":"model_not_found","message":"Project does not have access to model"}}"#,
            .invalidRequest),
    ]

    @Test(arguments: table) func `status and body say what can be done`(row: Row) {
        #expect(error(row.status, row.body).kind == row.kind)
    }

    /// Bodies as the APIs give them, and whether to wait for another key is of no use.
    private static let denials = [
        (401, #"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#, false),
        (
            403,
            #"{"type":"error","error":{"type":"permission_error","message":"Your API key does not have permission"}}"#,
            true
        ),
        (403, #"{"type":"error","error":{"type":"forbidden","message":"Request not allowed"}}"#, true),
        (
            401,
            #"{"error":{"message":"Incorrect API key provided: x","type":"invalid_request_error","code":"invalid_api_key"}}"#,
            false
        ),
        (
            401,
            #"{"error":{"message":"You have insufficient permissions for this operation. Missing scopes: model.request.","type":"invalid_request_error","code":null}}"#,
            true
        ),
        (
            403,
            #"{"error":{"code":"unsupported_country_region_territory","message":"Country, region, or territory not supported"}}"#,
            true
        ),
        (403, #"[{"error":{"code":403,"message":"no","status":"PERMISSION_DENIED"}}]"#, true),
        (
            400,
            #"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]"#,
            false
        ),
        // A gateway that does not know the key.
        (403, #"{"message":"Forbidden"}"#, false), (403, "<html>403</html>", false), (401, "", false),
    ]

    @Test(arguments: denials) func `what is about the key's rights is told from what is about the key`(
        status: Int, body: String, isForbidden: Bool
    ) {
        let error = error(status, body)
        #expect(error.kind == .authentication)
        #expect(error.isForbidden == isForbidden)
    }

    @Test(arguments: [
        (404, #"{"type":"error","error":{"type":"not_found_error","message":"model: claude-x"}}"#),
        (404, #"{"error":{"code":"model_not_found","message":"The model `x` does not exist"}}"#),
        (400, #"{"error":{"message":"x is not a valid model ID"}}"#),
        (404, #"{"error":"model 'x' not found, try pulling it first"}"#),
        (400, #"{"error":{"message":"Model Not Exist","type":"invalid_request_error"}}"#),
    ])
    func `a missing model names the setting and the model`(status: Int, body: String) {
        let error = error(status, body)
        #expect(error.kind == .invalidRequest)
        #expect(error.message.contains("AGENT_MODEL (some-model)"))
    }

    @Test func `a missing path names the base URL`() {
        #expect(error(404, "404 page not found").message.contains("AGENT_BASE_URL (https://llm.test/v1/messages)"))
        #expect(error(301, "").message.contains("AGENT_BASE_URL"))
    }

    @Test func `the provider may forbid or ask for another try`() {
        #expect(!error(529, "", "x-should-retry: false").isRetryable)
        #expect(error(400, "", "x-should-retry: true").isRetryable)
        #expect(error(529, "", "x-should-retry: maybe").isRetryable)
        // What no retry can mend stays.
        #expect(!error(401, "", "x-should-retry: true").isRetryable)
        #expect(!error(402, "", "x-should-retry: true").isRetryable)
    }

    @Test(arguments: [
        (#"{"error":{"message":"Oh"}}"#, "Oh"), (#"{"type":"error","error":{"message":"Oh"}}"#, "Oh"),
        (#"{"error":"Oh"}"#, "Oh"), (#"{"detail":"Oh"}"#, "Oh"), (#"{"message":"Oh"}"#, "Oh"),
        (#"[{"error":{"message":"Oh"}}]"#, "Oh"), ("<html><h1>Oh</h1> <p>no</p></html>", "Oh no"), ("Oh\n", "Oh"),
        ("", "an error without a body"), (#"{"error":{"message":"Oh","metadata":{"raw":"no"}}}"#, "Oh (no)"),
        (#"{"error":{"odd":1}}"#, #"{"error":{"odd":1}}"#), ("{\"error\":", "{\"error\":"),
    ])
    func `the provider's own words are found in any shape`(body: String, words: String) {
        #expect(error(500, body).message == words)
    }

    @Test func `the key and what is too long do not get out, also where the cut would split the key`() {
        for length in 480...500 {
            let error = error(500, String(repeating: "x", count: length) + "sk-secret tail")
            #expect(!error.message.contains("sk-"))
            #expect(error.message.count <= 500)
        }
        #expect(error(500, "the key sk-secret is bad").message == "the key [redacted] is bad")
    }

    @Test func `the provider's name for the request is in the error`() {
        #expect(error(500, "Oh", "request-id: req_7").message == "Oh [request req_7]")
    }

    @Test func `a content filter's error is a refusal, not a failure`() {
        let body = #"{"error":{"message":"The response was filtered","code":"content_filter","status":400}}"#
        #expect(testMapping.refusal(Array(body.utf8))?.stop == .refusal)
        #expect(testMapping.refusal(Array(#"{"error":{"message":"content_filter"}}"#.utf8)) == nil)
    }
}

struct RetryAfterTests {
    /// 2015-10-21 07:28:00 UTC.
    private let now: Int64 = 1_445_412_480_000

    /// Headers, and the milliseconds that they mean.
    private static let wishes: [([String], Int64?)] = [
        (["retry-after: 7"], 7000), (["retry-after: 0.5"], 500), (["Retry-After-Ms: 1500"], 1500),
        (["retry-after: 7", "retry-after-ms: 20"], 20), (["retry-after: 7", "retry-after-ms: 0"], 7000),
        (["retry-after: 7", "retry-after-ms: soon"], 7000), (["retry-after: 0"], nil), (["retry-after: -3"], nil),
        (["retry-after: nan"], nil), (["retry-after: inf"], nil), (["retry-after: soon"], nil), ([], nil),
        (["retry-after: Wed, 21 Oct 2015 07:28:30 GMT"], 30_000),
        (["retry-after: Wednesday, 21-Oct-15 07:28:30 GMT"], 30_000),
        (["retry-after: Wed, 21 Oct 2015 07:27:30 GMT"], nil), (["retry-after: 1e300"], 31_536_000_000),
        // By the server's own clock, be it a day ahead of ours or behind it.
        (["retry-after: Thu, 22 Oct 2015 07:28:30 GMT", "date: Thu, 22 Oct 2015 07:28:00 GMT"], 30_000),
        (["date: Tue, 20 Oct 2015 07:28:00 GMT", "retry-after: Tue, 20 Oct 2015 07:28:30 GMT"], 30_000),
        (["date: Thu, 22 Oct 2015 07:28:00 GMT", "retry-after: Wed, 21 Oct 2015 07:29:00 GMT"], nil),
        (["date: when it pleases", "retry-after: Wed, 21 Oct 2015 07:28:30 GMT"], 30_000),
    ]

    @Test(arguments: wishes)
    func `milliseconds go before seconds, seconds before a date, and what is not in the future is absent`(
        lines: [String], wish: Int64?
    ) {
        #expect(RetryAfter.milliseconds(head(["HTTP/2 429"] + lines), now: now) == wish)
    }
}

struct HTTPHeadTests {
    @Test func `an interim response is forgotten when the next status line comes`() {
        let head = head(["HTTP/1.1 103 Early Hints", "x: 1", "", "HTTP/1.1 200 OK", "Y:  2 "])
        #expect(head.status == 200)
        #expect(head["x"] == nil)
        #expect(head["y"] == "2")
    }

    @Test(arguments: ["HTTP/1.1", "HTTP/1.1 abc", "nonsense", ": x", ""]) func `a bad line is no status`(line: String) {
        #expect(head([line]).status == 0)
    }
}

func head(_ lines: [String]) -> HTTPHead {
    var head = HTTPHead()
    for line in lines { head.take(line: Array((line + "\r\n").utf8)) }
    return head
}
