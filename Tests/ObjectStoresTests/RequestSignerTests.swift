import ObjectStores
import Testing

/// AWS's published examples.
struct RequestSignerTests {
    /// aws-sig-v4-test-suite (AWS, 2015): GET or POST of example.amazonaws.com at this time, with these credentials.
    private static let suite = (
        credentials: S3Credentials(keyID: "AKIDEXAMPLE", secretKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        signer: RequestSigner(region: "us-east-1", service: "service"), time: "20150830T123600Z"
    )
    /// "Authenticating Requests: Using the Authorization Header", Amazon S3 API Reference
    /// (docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html).
    private static let s3 = (
        credentials: S3Credentials(
            keyID: "AKIAIOSFODNN7EXAMPLE", secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        signer: RequestSigner(region: "us-east-1"), time: "20130524T000000Z"
    )

    private static func hash(_ text: String) -> String { Digest.hexadecimal(Digest.sha256(Array(text.utf8))) }

    struct Case: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let method: String
        let path: String
        var query: [(name: String, value: String)] = []
        var headers: [(name: String, value: String)] = []
        var body = ""
        let signature: String

        init(
            _ name: String, _ method: String, _ path: String, query: [(name: String, value: String)] = [],
            headers: [(name: String, value: String)] = [], body: String = "", _ signature: String
        ) {
            testDescription = name
            self.method = method
            self.path = path
            self.query = query
            self.headers = headers
            self.body = body
            self.signature = signature
        }
    }

    @Test(arguments: [
        Case("get-vanilla", "GET", "/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        Case("post-vanilla", "POST", "/", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        Case(
            "get-vanilla-query-order-key-case", "GET", "/", query: [("Param2", "value2"), ("Param1", "value1")],
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
        Case(
            "get-unreserved", "GET", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
        Case(
            "post-x-www-form-urlencoded", "POST", "/", headers: [("Content-Type", "application/x-www-form-urlencoded")],
            body: "Param1=value1", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"),
    ])
    func `signs as AWS's test suite`(example: Case) {
        let request = RequestSigner.Request(
            method: example.method, path: example.path, query: example.query,
            headers: example.headers + [("Host", "example.amazonaws.com"), ("X-Amz-Date", Self.suite.time)],
            payload: Self.hash(example.body))
        let value = Self.suite.signer.authorization(
            request, credentials: Self.suite.credentials, time: Self.suite.time)
        #expect(value.hasSuffix("Signature=" + example.signature))
        #expect(value.contains("Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request"))
    }

    @Test func `the string to sign is that of AWS's test suite`() {
        let request = RequestSigner.Request(
            method: "GET", path: "/", query: [],
            headers: [("host", "example.amazonaws.com"), ("x-amz-date", Self.suite.time)], payload: Self.hash(""))
        #expect(
            Self.suite.signer.stringToSign(request, time: Self.suite.time)
                == "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/service/aws4_request\n"
                + "bb579772317eb040ac9ed261061d46c1f17a8133879d6129b6e1c25292927e63")
    }

    @Test(arguments: [
        Case(
            "GET object with a range", "GET", "test.txt", headers: [("range", "bytes=0-9")],
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
        Case(
            "PUT object", "PUT", "test$file.text",
            headers: [("Date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
            body: "Welcome to Amazon S3.", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
        Case(
            "GET lifecycle", "GET", "", query: [("lifecycle", "")],
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        Case(
            "list objects", "GET", "", query: [("prefix", "J"), ("max-keys", "2")],
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ])
    func `signs as the S3 reference`(example: Case) {
        let payload = Self.hash(example.body)
        let place = S3Place(bucket: "examplebucket", endpoint: nil, region: "us-east-1")
        // The examples have the host of us-east-1 without the region.
        #expect(place.host == "examplebucket.s3.us-east-1.amazonaws.com")
        let request = RequestSigner.Request(
            method: example.method, path: "/" + RequestSigner.encode(example.path, keepsSlashes: true),
            query: example.query,
            headers: example.headers + [
                ("Host", "examplebucket.s3.amazonaws.com"), ("x-amz-content-sha256", payload),
                ("x-amz-date", Self.s3.time),
            ], payload: payload)
        let value = Self.s3.signer.authorization(request, credentials: Self.s3.credentials, time: Self.s3.time)
        #expect(value.hasSuffix("Signature=" + example.signature))
    }

    @Test func `the time is UTC, in every year`() {
        #expect(RequestSigner.time(1_440_938_160_999) == "20150830T123600Z")
        #expect(RequestSigner.time(0) == "19700101T000000Z")
        #expect(RequestSigner.time(1_709_164_800_000) == "20240229T000000Z")
    }

    @Test func `the place is AWS by region, or the endpoint with its port`() {
        #expect(S3Place(bucket: "a.b", endpoint: nil, region: "eu-west-1").host == "s3.eu-west-1.amazonaws.com")
        #expect(
            S3Place(bucket: "ab1", endpoint: nil, region: "cn-north-1").host == "ab1.s3.cn-north-1.amazonaws.com.cn")
        #expect(S3Place(bucket: "ab1", endpoint: "http://h:9000", region: "r").host == "h:9000")
        // libcurl leaves the scheme's own port out of Host.
        #expect(S3Place(bucket: "ab1", endpoint: "https://h:443", region: "r").host == "h")
        #expect(S3Place(bucket: "ab1", endpoint: "https://h:80", region: "r").host == "h:80")
    }
}
