import AgentFixtures
import Gateway
import Glibc
import LinuxSystem
import SecretRedaction
import Testing

/// Secrets that are exchanged while the gateway runs.
struct LoadedSecretsTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func isGone(_ value: String, _ secrets: LoadedSecrets) -> Bool {
        !secrets.redactor.redact("a \(value) b").contains(value)
    }

    @Test func `what is written into a file, or a file that is new, is known at the next look, and only then another`()
        throws
    {
        try folder.write("one", "value-number-one")
        var secrets = LoadedSecrets(["value-number-one"], folder: folder.path)
        #expect(secrets.refresh() == false)
        try folder.write("one", "value-number-1.1")
        #expect(secrets.refresh() == true)
        try folder.write("two", "value-number-two")
        #expect(secrets.refresh() == true)
        for value in ["value-number-one", "value-number-1.1", "value-number-two"] { #expect(isGone(value, secrets)) }
        #expect(secrets.refresh() == false)
    }

    @Test func `the versions of a Secret's volume are followed by its link`() throws {
        try retrying("symlink") { symlink("..data/key", folder.path + "/key") }
        var secrets = LoadedSecrets([], folder: folder.path)
        for version in 1...3 {
            let name = "..2026_01_0\(version)"
            try makeFolder(folder.path + "/" + name)
            // All of the same size, and some of the same moment.
            try folder.write(name + "/key", "value-number-\(version)")
            try retrying("symlink") { symlink(name, folder.path + "/..data_tmp") }
            try retrying("rename") { rename(folder.path + "/..data_tmp", folder.path + "/..data") }
            #expect(secrets.refresh() == true)
            if version > 1 { _ = unlink(folder.path + "/..2026_01_0\(version - 1)/key") }
            for known in 1...version { #expect(isGone("value-number-\(known)", secrets)) }
        }
        #expect(!isGone("value-number-4", secrets))
    }

    @Test func `a folder that is away for a moment is looked at again`() throws {
        try folder.write("one", "value-number-one")
        var secrets = LoadedSecrets(["value-number-one"], folder: folder.path)
        try retrying("rename") { rename(folder.path, folder.path + ".away") }
        #expect(secrets.refresh() == false)
        try retrying("rename") { rename(folder.path + ".away", folder.path) }
        try folder.write("one", "value-number-two")
        #expect(secrets.refresh() == true)
        #expect(isGone("value-number-one", secrets) && isGone("value-number-two", secrets))
    }

    @Test func `what is kept of former values has a limit, and the present ones are always known`() throws {
        var secrets = LoadedSecrets(["value-number-0000"], folder: folder.path)
        for number in 1...400 {
            try folder.write("one", "value-number-\(1000 + number)")
            try folder.write("two", "other-value-\(1000 + number)")
            secrets.refresh()
        }
        #expect(isGone("value-number-1400", secrets) && isGone("other-value-1400", secrets))
        #expect(isGone("value-number-1399", secrets))
        #expect(!isGone("value-number-0000", secrets))
    }
}
