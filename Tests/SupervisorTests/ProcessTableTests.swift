import Supervisor
import Testing

struct ProcessTableTests {
    private func entry(_ pid: Int32, _ parent: Int32) throws -> ProcessEntry {
        try #require(ProcessEntry(stat: "\(pid) (p\(pid)) S \(parent) 1 1 0"))
    }

    @Test func `a stat line gives pid, name, parent and whether it has ended`() throws {
        let entry = try #require(ProcessEntry(stat: "42 (sh) Z 7 42 42 0 -1"))
        #expect(entry.pid == 42)
        #expect(entry.name == "sh")
        #expect(entry.parent == 7)
        #expect(entry.isZombie)
    }

    @Test func `a stat line tells when the process was started`() throws {
        let line = "42 (a b) S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 5"
        #expect(try #require(ProcessEntry(stat: line)).start == "987654")
    }

    @Test func `a name may hold parentheses and spaces`() throws {
        let entry = try #require(ProcessEntry(stat: "42 (a) R 1 (b) S 7 42"))
        #expect(entry.name == "a) R 1 (b")
        #expect(entry.parent == 7)
        #expect(!entry.isZombie)
    }

    @Test(arguments: ["", "42", "x (sh) S 1", "42 (sh", "42 )sh( S 1", "42 (sh) S", "42 (sh) S x"])
    func `anything else is no entry`(text: String) {
        #expect(ProcessEntry(stat: text) == nil)
    }

    @Test func `descendants are the children of children, and nobody else`() throws {
        let entries = [try entry(2, 1), try entry(3, 2), try entry(4, 3), try entry(5, 1), try entry(6, 5)]
        #expect(Set(descendants(of: 2, in: entries).map(\.pid)) == [3, 4])
    }

    @Test func `a circle of reused pids ends`() throws {
        let entries = [try entry(2, 3), try entry(3, 2)]
        #expect(descendants(of: 2, in: entries).map(\.pid) == [3])
    }
}
