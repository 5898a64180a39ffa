import Agent
import AgentFixtures
import Contracts
import Glibc
import HTTP
import LinuxSystem
import ObjectStoreConformance
import ObjectStores
import Testing

/// S3 against a real moto, behind a proxy that checks each signature with botocore and makes faults.
@Suite(.serialized, .timeLimit(.minutes(3))) struct S3ObjectStoreTests {
    private let server: ObjectStoreServer

    init() throws {
        server = try ObjectStoreServer.shared.get()
        try server.reset()
    }

    private func limits(attempts: Int = 6, stall: Int = 30, page: Int = 1000) -> S3Limits {
        var limits = S3Limits()
        limits.pause = 1
        limits.attempts = attempts
        limits.stall = stall
        limits.page = page
        return limits
    }

    /// With the right credentials, or with those of `secrets`.
    private func store(
        _ prefix: String, bucket: String = "bucket", endpoint: String? = nil, _ limits: S3Limits? = nil,
        secrets: TemporaryFolder? = nil
    ) throws -> S3ObjectStore {
        let folder = try secrets ?? credentials(ObjectStoreServer.secretKey)
        let settings = ObjectStoreSettings.Bucket(
            name: bucket, prefix: prefix, endpoint: endpoint ?? server.endpoint, region: "us-east-1")
        return try S3ObjectStore(
            settings, network: try HTTPConfiguration(environment: [:]), secretsFolder: folder.path,
            limits: limits ?? self.limits())
    }

    private func credentials(_ secretKey: String) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try folder.write("s3-access-key-id", ObjectStoreServer.keyID + "\n")
        try folder.write("s3-secret-access-key", secretKey)
        return folder
    }

    private func failure(_ body: () throws -> Void) throws -> ObjectStoreError {
        do { try body() } catch let error as ObjectStoreError { return error }
        throw ObjectStoreError(.exists, "it was done, where it must fail")
    }

    @Test func `keeps the contract, over several answers to a listing`() throws {
        try ObjectStoreConformance { try store("conformance/x", limits(page: 2)) }.run()
    }

    @Test func `a bucket without a prefix works`() throws {
        try store("").put([1], as: "at-the-top")
        #expect(try store("").get("at-the-top", limit: 1) == [1])
    }

    @Test func `a wrong secret is refused by the verifier, and named`() throws {
        let store = try store("denied", secrets: try credentials("wrong-secret-of-the-test"))
        let requests: [() throws -> Void] = [
            { try store.put([1], as: "a") }, { _ = try store.list("") }, { try store.delete("a") },
        ]
        for request in requests {
            let error = try failure(request)
            #expect(error.kind == .denied)
            #expect(error.description.contains("SignatureDoesNotMatch"))
            #expect(error.description.contains("s3-secret-access-key"))
            #expect(!error.description.contains("wrong-secret"))
        }
    }

    @Test func `temporary credentials sign their token, and rotated ones are read again`() throws {
        try server.write("credentials", "\(ObjectStoreServer.keyID) \(ObjectStoreServer.secretKey) the-token/+=")
        let folder = try credentials("old")
        let store = try store("rotated", secrets: folder)
        #expect(try failure { try store.put([1], as: "a") }.kind == .denied)
        try folder.write("s3-secret-access-key", ObjectStoreServer.secretKey)
        try folder.write("s3-session-token", "the-token/+=\n")
        try store.put([1], as: "a")
        #expect(try store.get("a", limit: 1) == [1])
    }

    @Test(arguments: [
        ("status 403 InvalidAccessKeyId", ObjectStoreError.Kind.denied), ("status 403 ExpiredToken", .denied),
        ("status 400 InvalidToken", .denied), ("status 401", .denied), ("status 403", .denied),
        ("status 403 AccessDenied", .forbidden), ("status 403 AccountProblem", .forbidden),
    ])
    func `a key that is unknown is told from one that may not do this`(
        fault: String, kind: ObjectStoreError.Kind
    ) throws {
        let store = try store("rights")
        try server.fail([fault, fault])
        for request in [{ try store.put([1], as: "a") }, { _ = try store.list("") }] {
            let error = try failure(request)
            #expect(error.kind == kind)
            #expect(error.description.contains(kind == .denied ? "s3-secret-access-key" : "allow the key"))
        }
        #expect(try server.statuses().count == 2, "the same credentials were sent again")
    }

    @Test(arguments: ["BadDigest", "XAmzContentSHA256Mismatch"])
    func `what arrives as another each time is refused in the end, and once is tried again`(code: String) throws {
        let store = try store("digest", limits(attempts: 3))
        try server.fail(["status 400 \(code)"])
        try store.put([1], as: "a")
        try server.fail(Array(repeating: "status 400 \(code)", count: 3))
        let error = try failure { try store.put([1], as: "a") }
        #expect(error.kind == .refused)
        #expect(error.description.contains("SHA-256"))
    }

    @Test func `a place that is no store is refused, where there would be objects none is there`() throws {
        let store = try store("elsewhere")
        for request in [{ try store.put([1], as: "a") }, { _ = try store.list("") }] {
            try server.fail(["status 404"])
            let error = try failure(request)
            #expect(error.kind == .refused)
            #expect(error.description.contains("AGENT_S3_ENDPOINT"))
        }
        try server.fail(["status 404"])
        #expect(try failure { _ = try store.get("a", limit: 1) }.kind == .missing)
    }

    @Test(arguments: ["s3-access-key-id", "s3-secret-access-key"])
    func `a missing file of credentials is exit 77 with its name`(name: String) throws {
        let folder = try TemporaryFolder()
        for other in ["s3-access-key-id", "s3-secret-access-key"] where other != name { try folder.write(other, "x") }
        let error = #expect(throws: StartError.self) { try S3Credentials(secretsFolder: folder.path) }
        #expect(error?.exit == .notPermitted)
        #expect(error?.description.contains(name) == true)
    }

    @Test(arguments: [
        "status 503 SlowDown 1", "status 500 InternalError", "status 502", "status 409 ConditionalRequestConflict",
        "status 400 RequestTimeout", "status 429", "late-error", "drop", "stall 0",
    ])
    func `what may pass is tried again`(fault: String) throws {
        let store = try store("again")
        try server.fail([fault, fault])
        try store.put(Array("whole".utf8), as: "a")
        try server.fail([fault])
        #expect(try store.list("").map(\.key) == ["a"])
        if fault != "late-error" { try server.fail([fault]) }
        #expect(try store.get("a", limit: 5) == Array("whole".utf8))
    }

    @Test func `a wish to wait is kept to, and one for too long is not waited for`() throws {
        let store = try store("wish", limits(attempts: 2))
        try server.fail(["status 503 SlowDown 2"])
        let began = Clock.monotonic
        try store.put([1], as: "a")
        #expect(Clock.monotonic - began >= 2000, "it came back before it was told to")
        var limits = limits(attempts: 2)
        limits.longestWish = 1000
        let impatient = try self.store("wish", limits)
        for _ in 1...2 {
            try server.fail(["status 503 SlowDown 2"])
            let error = try failure { try impatient.put([1], as: "a") }
            #expect(error.kind == .unavailable)
            #expect(error.description.contains("SlowDown"))
        }
        #expect(try server.statuses() == ["503", "200", "503", "503"])
    }

    @Test func `a store that fails for long is unavailable after a bounded number of attempts`() throws {
        let store = try store("long", limits(attempts: 3))
        try server.fail(Array(repeating: "status 503 ServiceUnavailable", count: 9))
        let error = try failure { try store.put([1], as: "a") }
        #expect(error.kind == .unavailable)
        #expect(error.description.contains("ServiceUnavailable"))
        #expect(try server.statuses() == ["503", "503", "503"])
    }

    @Test func `a server that says nothing ends at the deadline`() throws {
        let store = try store("stall", limits(attempts: 1, stall: 1))
        try server.fail(["stall 5"])
        #expect(try failure { _ = try store.get("a", limit: 1) }.kind == .unavailable)
    }

    @Test func `nobody listens: unavailable, with what to look at`() throws {
        let store = try store("", endpoint: "http://127.0.0.1:1", limits(attempts: 2))
        let error = try failure { try store.put([1], as: "a") }
        #expect(error.kind == .unavailable)
        #expect(error.description.contains("AGENT_S3_ENDPOINT"))
    }

    @Test(arguments: ["cut", "flip"])
    func `a body that is cut or changed is fetched again, and never given`(fault: String) throws {
        let store = try store("cut", limits(attempts: 3))
        let folder = try TemporaryFolder()
        let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0) }
        try store.put(bytes, as: "a")
        try server.fail([fault, fault])
        try store.get("a", toFile: folder.path + "/a", limit: 100_000)
        #expect(try readFile(folder.path + "/a", limit: 100_000) == bytes)
        try server.fail([fault, fault, fault])
        #expect(try failure { try store.get("a", toFile: folder.path + "/b", limit: 100_000) }.kind == .damaged)
        try server.fail([fault, fault, fault])
        #expect(try failure { _ = try store.get("a", limit: 100_000) }.kind == .damaged)
        #expect(try namesInFolder(folder.path) == ["a"])
    }

    @Test func `an answer that does not say how long it is is not taken`() throws {
        let store = try store("endless", limits(attempts: 1))
        try store.put([1, 2, 3], as: "a")
        try server.fail(["endless"])
        #expect(try failure { _ = try store.get("a", limit: 3) }.kind == .damaged)
    }

    @Test func `after a lost reply the claim is found to be its own, and another's is not`() throws {
        let store = try store("claims")
        try server.fail(["drop"])
        try store.putIfAbsent(Array("mine".utf8), as: "epoch/1")
        #expect(try server.statuses() == ["0", "412", "200"])
        try server.fail(["drop"])
        #expect(try failure { try store.putIfAbsent(Array("late".utf8), as: "epoch/1") }.kind == .exists)
        #expect(try store.get("epoch/1", limit: 10) == Array("mine".utf8))
    }

    @Test func `a store that passes over the condition of a claim is refused, by name`() throws {
        let store = try store("unconditional")
        try server.fail(Array(repeating: "unconditional", count: 4))
        for _ in 1...2 {
            let error = try failure { try store.putIfAbsent(Array("mine".utf8), as: "epoch/1") }
            #expect(error.kind == .refused)
            #expect(error.description.contains("If-None-Match"))
        }
    }

    @Test(arguments: ["status 501 NotImplemented", "status 400 InvalidRequest"])
    func `a store that does not know conditions is refused, and nothing is put without one`(fault: String) throws {
        let store = try store("unknown")
        try server.fail([fault])
        let error = try failure { try store.putIfAbsent(Array("mine".utf8), as: "epoch/1") }
        #expect(error.kind == .refused)
        #expect(try server.statuses() == [String(fault.split(separator: " ")[1])])
        #expect(try store.list("") == [])
    }

    @Test(arguments: [7200, -7200])
    func `a clock that differs is set right by the server's, once`(skew: Int) throws {
        let store = try store("skew")
        try server.write("skew", "\(skew)")
        try store.put([1], as: "a")
        #expect(try server.statuses() == ["403", "200"])
        #expect(try store.get("a", limit: 1) == [1])
        #expect(try server.statuses() == ["403", "200", "200"])
    }

    @Test func `redirects are not followed, and the region is named`() throws {
        try server.fail(["redirect"])
        let error = try failure { _ = try store("r").list("") }
        #expect(error.kind == .refused)
        #expect(error.description.contains("AGENT_S3_REGION to eu-west-9"))
        #expect(try server.statuses() == ["301"])
    }

    @Test func `a bucket that is not there is refused, with the setting`() throws {
        let error = try failure { try store("x", bucket: "no-such-bucket").put([1], as: "a") }
        #expect(error.kind == .refused)
        #expect(error.description.contains("NoSuchBucket") && error.description.contains("AGENT_SNAPSHOT_URL"))
    }

    @Test func `a file of more than 5 GiB is refused before anything is sent`() throws {
        let folder = try TemporaryFolder()
        try folder.write("large", "")
        try #require(truncate(folder.path + "/large", 5 << 30 + 1) == 0)
        let error = try failure { try store("large").put(file: folder.path + "/large", as: "a") }
        #expect(error.kind == .refused)
        #expect(error.description.contains("5 GiB"))
        #expect(try server.requests() == [])
    }
}
