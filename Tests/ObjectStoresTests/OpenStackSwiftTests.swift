import Agent
import AgentFixtures
import HTTP
import ObjectStoreConformance
import ObjectStores
import Testing

/// S3 against OpenStack Swift: an object store that is no imitation, and verifies signatures by code of its own.
@Suite(.serialized, .timeLimit(.minutes(3))) struct OpenStackSwiftTests {
    private let server: ObjectStoreServer

    init() throws { server = try ObjectStoreServer.openStackSwift.get() }

    private func store(
        _ prefix: String, bucket: String = "bucket", secretKey: String = "testing", page: Int = 1000
    ) throws -> S3ObjectStore {
        let folder = try TemporaryFolder()
        try folder.write("s3-access-key-id", "test:tester")
        try folder.write("s3-secret-access-key", secretKey)
        var limits = S3Limits()
        limits.page = page
        let settings = ObjectStoreSettings.Bucket(
            name: bucket, prefix: prefix, endpoint: server.endpoint, region: "us-east-1")
        return try S3ObjectStore(
            settings, network: try HTTPConfiguration(environment: [:]), secretsFolder: folder.path, limits: limits)
    }

    /// Swift looks for the object when a PUT begins, and stores it when it ends: of eight at once several are stored.
    @Test func `keeps the contract, over several answers to a listing, but among claims of one moment`() throws {
        try ObjectStoreConformance { try store("conformance/x", page: 2) }.run(isAtomic: false)
    }

    @Test func `a wrong secret is refused with the server's own reason`() throws {
        let store = try store("denied", secretKey: "wrong-secret-of-the-test")
        let requests: [() throws -> Void] = [
            { try store.put([1], as: "a") }, { try store.putIfAbsent([1], as: "a") },
            { _ = try store.get("a", limit: 1) },
            { _ = try store.list("") }, { try store.delete("a") },
        ]
        for request in requests {
            let error = try #require(throws: ObjectStoreError.self) { try request() }
            #expect(error.kind == .denied)
            #expect(error.description.contains("SignatureDoesNotMatch"))
            #expect(error.description.contains("The request signature we calculated does not match"))
            #expect(error.description.contains("s3-secret-access-key"))
            #expect(!error.description.contains("wrong-secret"))
        }
    }

    @Test func `a bucket that is not there is refused, with the setting`() throws {
        let store = try store("x", bucket: "no-such-bucket")
        let error = try #require(throws: ObjectStoreError.self) { try store.put([1], as: "a") }
        #expect(error.kind == .refused)
        #expect(error.description.contains("NoSuchBucket") && error.description.contains("AGENT_SNAPSHOT_URL"))
    }
}
