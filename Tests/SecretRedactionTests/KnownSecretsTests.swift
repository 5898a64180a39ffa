import AgentFixtures
import Glibc
import SecretRedaction
import Testing

struct KnownSecretsTests {
    private let folder: TemporaryFolder
    private let secrets = KnownSecrets()

    init() throws { folder = try TemporaryFolder() }

    @Test func `what is in a file of the folder is taken out, its last newline or not`() throws {
        try folder.write("key", "first-secret\n")
        try folder.write("token", "second-secret")
        secrets.learn(folder: folder.path)
        #expect(secrets.clean("first-secret, second-secret") == "[redacted], [redacted]")
        #expect(secrets.clean(Array("a first-secret\u{0}".utf8)) == Array("a [redacted]\u{0}".utf8))
    }

    @Test func `a value that was changed is taken out as it was and as it is`() throws {
        try folder.write("key", "old-secret")
        secrets.learn(folder: folder.path)
        try folder.write("key", "new-secret")
        #expect(secrets.clean("old-secret new-secret") == "[redacted] [redacted]")
        unlink(folder.path + "/key")
        #expect(secrets.clean("old-secret new-secret") == "[redacted] [redacted]")
    }

    @Test func `a folder that is not there yet is read when it is`() throws {
        secrets.learn(folder: folder.path + "/later")
        #expect(secrets.clean("late-secret") == "late-secret")
        mkdir(folder.path + "/later", 0o700)
        try folder.write("later/key", "late-secret")
        #expect(secrets.clean("late-secret") == "[redacted]")
    }

    @Test func `names with a dot before them, folders and files over 64 KiB are nobody's secrets`() throws {
        try folder.write(".hidden", "hidden-value")
        mkdir(folder.path + "/folder", 0o700)
        try folder.write("large", String(repeating: "large-value\n", count: 6000))
        secrets.learn(folder: folder.path)
        #expect(secrets.clean("hidden-value large-value") == "hidden-value large-value")
    }

    @Test func `more than can be looked for lets nothing out`() throws {
        for number in 0..<20 {
            try folder.write("large-\(number)", "\(number)" + String(repeating: "x", count: 60000))
        }
        secrets.learn(folder: folder.path)
        #expect(secrets.clean("anything") == KnownSecrets.withheld)
        #expect(secrets.clean([1, 2, 3]) == Array(KnownSecrets.withheld.utf8))
    }

    @Test func `without a folder the shapes of credentials go all the same`() {
        #expect(secrets.clean("sk-ant-api03-0123456789abcdef") == "[redacted]")
    }
}
