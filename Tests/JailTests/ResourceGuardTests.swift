import Contracts
import Glibc
import Jail
import Testing

/// A folder that looks like a mounted cgroup hierarchy.
private struct Hierarchy: ~Copyable {
    let path: String

    init() throws {
        var template = Array("/tmp/agent-init-cgroup-XXXXXX".utf8CString)
        path = try #require(mkdtemp(&template).map { String(cString: $0) })
    }

    deinit {
        for file in ["memory.max", "memory.current", "memory.stat", "memory.limit_in_bytes", "memory.usage_in_bytes"] {
            for folder in ["/pod/box", "/pod", ""] { unlink(path + folder + "/" + file) }
        }
        for folder in ["/pod/box", "/pod", ""] { rmdir(path + folder) }
    }

    func write(_ name: String, _ text: String) throws {
        mkdir(path + "/pod", 0o700)
        mkdir(path + "/pod/box", 0o700)
        let file = try #require(fopen(path + "/" + name, "w"))
        fputs(text, file)
        fclose(file)
    }

    func version2(_ folder: String, limit: String, used: Int, stat: String = "") throws {
        try write("\(folder)memory.max", limit + "\n")
        try write("\(folder)memory.current", "\(used)\n")
        try write("\(folder)memory.stat", stat)
    }

    /// The line of mountinfo that mounts it.
    func mount(_ type: String = "cgroup2", root: String = "/", options: String = "rw") -> String {
        "30 24 0:27 \(root) \(path) rw,nosuid shared:4 - \(type) cgroup \(options)\n"
    }
}

struct ResourceGuardTests {
    @Test func `the limit with the least room counts, of all cgroups above us`() throws {
        let hierarchy = try Hierarchy()
        try hierarchy.version2("", limit: "max", used: 900)
        try hierarchy.version2("pod/", limit: "1000", used: 700)
        try hierarchy.version2("pod/box/", limit: "800", used: 100)
        let cgroup = MemoryLimits(membership: "1:cpu:/else\n0::/pod/box\n", mounts: hierarchy.mount())
        #expect(cgroup.reading(exactFrom: 85) == .init(used: 700, limit: 1000))
    }

    @Test func `in a container the mount's own top is our cgroup`() throws {
        let hierarchy = try Hierarchy()
        try hierarchy.version2("", limit: "1000", used: 5)
        for membership in ["0::/\n", "0::/kubepods/pod7/box\n", "0::/../other\n"] {
            let cgroup = MemoryLimits(membership: membership, mounts: hierarchy.mount(root: "/kubepods/pod7/box"))
            #expect(cgroup.reading(exactFrom: 85) == .init(used: 5, limit: 1000), "\(membership)")
        }
    }

    @Test func `what the kernel can reclaim is not used, once usage is high enough to matter`() throws {
        let hierarchy = try Hierarchy()
        let stat = "anon 300\ninactive_file 400\nactive_file 100\nslab_reclaimable 50\nshmem 70\n"
        try hierarchy.version2("", limit: "1000", used: 900, stat: stat)
        let cgroup = MemoryLimits(membership: "0::/\n", mounts: hierarchy.mount())
        #expect(cgroup.reading(exactFrom: 85) == .init(used: 350, limit: 1000))
        #expect(cgroup.reading(exactFrom: 95) == .init(used: 900, limit: 1000))
        #expect(cgroup.filesInMemory == 70)
    }

    @Test func `version 1 is read by its own names`() throws {
        let hierarchy = try Hierarchy()
        try hierarchy.write("memory.limit_in_bytes", "1000\n")
        try hierarchy.write("memory.usage_in_bytes", "900\n")
        try hierarchy.write("memory.stat", "inactive_file 1\ntotal_inactive_file 200\ntotal_active_file 100\n")
        let cgroup = MemoryLimits(
            membership: "4:memory:/\n0::/\n", mounts: hierarchy.mount("cgroup", options: "rw,memory"))
        #expect(cgroup.reading(exactFrom: 85) == .init(used: 600, limit: 1000))
    }

    @Test func `without a limit, or without cgroups, there is nothing to watch`() throws {
        let hierarchy = try Hierarchy()
        try hierarchy.version2("", limit: "max", used: 5)
        #expect(MemoryLimits(membership: "0::/\n", mounts: hierarchy.mount()).reading(exactFrom: 85) == nil)
        try hierarchy.write("memory.limit_in_bytes", "9223372036854771712\n")
        try hierarchy.write("memory.usage_in_bytes", "900\n")
        let old = MemoryLimits(membership: "4:memory:/\n", mounts: hierarchy.mount("cgroup", options: "rw,memory"))
        #expect(old.reading(exactFrom: 85) == nil)
        for text in ["", "0::\n", "nonsense", "0::/\n"] {
            #expect(MemoryLimits(membership: text, mounts: text).reading(exactFrom: 85) == nil)
        }
    }

    @Test func `a command is ended where the limit's percentage is used`() throws {
        let hierarchy = try Hierarchy()
        try hierarchy.version2("", limit: "1000000000", used: 100_000_000)
        let cgroup = MemoryLimits(membership: "0::/\n", mounts: hierarchy.mount())
        var guardian = MemoryGuard(JailLimits(), cgroup: cgroup)
        #expect(guardian.look().reason == nil)
        try hierarchy.write("memory.current", "840000000\n")
        let (reason, again) = guardian.look()
        #expect(reason == nil)
        // 160 MB of room: less than the time in which they can be filled.
        #expect((1...20).contains(again))
        try hierarchy.write("memory.current", "950000000\n")
        #expect(guardian.look().reason?.contains("the pod's memory is 905 of 953 MiB") == true)
    }

    @Test func `a pod that was full before the command does not keep it from running`() throws {
        let hierarchy = try Hierarchy()
        try hierarchy.version2("", limit: "1000000000", used: 900_000_000)
        let cgroup = MemoryLimits(membership: "0::/\n", mounts: hierarchy.mount())
        var guardian = MemoryGuard(JailLimits(), cgroup: cgroup)
        #expect(guardian.look().reason == nil)
        try hierarchy.write("memory.current", "990000000\n")
        #expect(guardian.look().reason != nil)
    }

    @Test func `100 percent watches nothing`() throws {
        let hierarchy = try Hierarchy()
        try hierarchy.version2("", limit: "1000000000", used: 1)
        var limits = JailLimits()
        limits.memoryPercent = 100
        var guardian = MemoryGuard(
            limits, cgroup: MemoryLimits(membership: "0::/\n", mounts: hierarchy.mount()))
        try hierarchy.write("memory.current", "999999999\n")
        #expect(guardian.look().reason == nil)
    }
}
