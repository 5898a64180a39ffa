import Contracts
import Glibc
import Jail
import LinuxSystem
import Testing

/// The rule of files grants the job's folders and the one list of places, and nothing besides: what is added elsewhere would
/// be seen neither by the check that secrets lie outside nor by `doctor`.
struct GrantsTests {
    /// A folder of its own, without a link in its path.
    private func folder(_ name: String) throws -> String {
        let path = canonicalPath("/tmp") + "/agent-init-grants-\(getpid())-\(name)"
        try makeFolder(path)
        return path
    }

    @Test(arguments: JailProfile.allCases)
    func `the rule of files grants the list and the job's folders alone`(profile: JailProfile) throws {
        let root = try folder("rule-\(profile)")
        defer { try? removeTree(root) }
        let own = ["project", "home", "tmp"].map { root + "/" + $0 }
        for path in own { mkdir(path, 0o700) }
        let request = JailRequest(
            profile: profile, project: own[0], home: own[1], temporary: own[2], timeout: 1000, grace: 0,
            command: ["true"])
        let plan = try JailPlan([FilesRule()], for: request, on: Kernel(landlock: 6))
        #expect(Set(plan.paths.map(\.path)) == Set(own + JailGrants.places.map(\.path)))
        for place in JailGrants.places {
            let granted = plan.paths.filter { $0.path == place.path }.map(\.rights)
            #expect(granted.allSatisfy { $0.contains(.writeFile) == [.readAndWrite, .device].contains(place.access) })
        }
    }

    @Test func `a folder with a link in its path is refused`() throws {
        let root = try folder("link")
        defer { try? removeTree(root) }
        for name in ["project", "home", "tmp", "elsewhere"] { mkdir(root + "/" + name, 0o700) }
        symlink(root + "/elsewhere", root + "/tmp/home")
        let request = JailRequest(
            profile: .tactical, project: root + "/project", home: root + "/tmp/home", temporary: root + "/tmp",
            timeout: 1000, grace: 0, command: ["true"])
        let failure = #expect(throws: JailFailure.self) {
            try JailPlan([FilesRule()], for: request, on: Kernel(landlock: 6))
        }
        #expect(failure?.stage == .files && failure?.code == ELOOP)
    }
}
