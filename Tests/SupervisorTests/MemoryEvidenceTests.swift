import AgentFixtures
import Glibc
import LinuxSystem
import Supervisor
import Testing

/// The files of both versions as the kernel writes them, in a folder of our own; the real ones are in
/// Tests/System/test_init_gasp.py.
struct MemoryEvidenceTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func mounted(_ root: String, _ kind: String, _ options: String = "rw") -> String {
        "24 22 0:21 / /proc rw shared:13 - proc proc rw\n"
            + "36 35 0:30 \(root) \(folder.path) ro,nosuid shared:9 - \(kind) cgroup \(options)\n"
    }

    private func group(_ membership: String, _ mounts: String) -> MemoryCgroup? {
        MemoryCgroup(membership: membership, mounts: mounts) { access($0, R_OK) == 0 }
    }

    @Test func `version 2: the cgroup namespace's root, a path below it, a node's tree`() throws {
        try folder.write("memory.current", "1048576\n")
        try makeFolder(folder.path + "/pod/own")
        try folder.write("pod/own/memory.current", "2097152\n")
        #expect(group("0::/\n", mounted("/", "cgroup2"))?.current == 1 << 20)
        #expect(group("0::/pod/own\n", mounted("/", "cgroup2"))?.current == 2 << 20)
        // Docker without a cgroup namespace: the mount shows what lies below the container's own.
        #expect(group("0::/docker/7f\n", mounted("/docker/7f", "cgroup2"))?.current == 1 << 20)
        // Where the path leads nowhere, what is mounted is the container's.
        #expect(group("0::/docker/7f\n", mounted("/docker/7", "cgroup2"))?.current == 1 << 20)
        #expect(group("0::/elsewhere\n", mounted("/", "cgroup2"))?.current == 1 << 20)
        #expect(group("0::/\n", "") == nil)
    }

    @Test func `version 1, and the hybrid of both: memory is where its files are`() throws {
        try folder.write("memory.usage_in_bytes", "4096\n")
        let membership = "9:name=systemd:/\n4:memory:/kubepods/x\n1:cpu,cpuacct:/\n0::/\n"
        let found = group(membership, mounted("/kubepods/x", "cgroup", "rw,memory") + mounted("/", "cgroup2"))
        #expect(found?.version == .one)
        #expect(found?.current == 4096)
    }

    @Test func `no limit is none, in the words of either version`() throws {
        for (file, text) in [("memory.max", "max\n"), ("memory.limit_in_bytes", "9223372036854771712\n")] {
            try folder.write(file == "memory.max" ? "memory.current" : "memory.usage_in_bytes", "1\n")
            try folder.write(file, text)
            let kind = file == "memory.max" ? "cgroup2" : "cgroup"
            let own = file == "memory.max" ? "0::/\n" : "4:memory:/\n"
            let found = try #require(group(own, mounted("/", kind, "rw,memory")))
            #expect(found.limit == nil)
            try folder.write(file, "1073741824\n")
            #expect(found.limit == 1 << 30)
        }
    }

    @Test(arguments: ["memory.events", "memory.oom_control"])
    func `memory ran out if the kernel has killed since the last look`(file: String) throws {
        let isNew = file == "memory.events"
        let others = isNew ? "low 0\nmax 41\noom 1\n" : "oom_kill_disable 0\nunder_oom 0\n"
        try folder.write(isNew ? "memory.current" : "memory.usage_in_bytes", "1\n")
        try folder.write(isNew ? "memory.max" : "memory.limit_in_bytes", "536870912\n")
        try folder.write(file, others + "oom_kill 3\n")
        let cgroup = group(isNew ? "0::/\n" : "4:memory:/\n", mounted("/", isNew ? "cgroup2" : "cgroup", "rw,memory"))
        var evidence = MemoryEvidence(cgroup)
        #expect(evidence.find(.signaled(SIGKILL)) == .didNotRunOut)
        try folder.write(file, others + "oom_kill 4\n")
        let finding = evidence.find(.signaled(SIGKILL))
        #expect(finding == .ranOut(limit: 512 << 20))
        #expect(finding?.cause == "for want of memory (the pod's limit is 512 MiB)")
        #expect(evidence.find(.signaled(SIGKILL)) == .didNotRunOut)
        // A kill that came with another end was that of another process.
        try folder.write(file, others + "oom_kill 5\n")
        #expect(evidence.find(.signaled(SIGSEGV)) == nil)
        #expect(evidence.find(.signaled(SIGKILL)) == .didNotRunOut)
    }

    @Test func `without a cgroup to read nothing is claimed`() {
        var evidence = MemoryEvidence(nil)
        #expect(evidence.find(.signaled(SIGKILL)) == .unknown)
        #expect(MemoryEvidence.Finding.unknown.cause == nil)
    }
}
