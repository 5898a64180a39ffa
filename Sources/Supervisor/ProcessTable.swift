import Glibc
import LinuxSystem

/// A process as /proc/PID/stat shows it (proc(5)).
package struct ProcessEntry: Equatable, Sendable {
    package let pid: Int32
    package let parent: Int32
    package let name: String
    /// When it was started, in the kernel's ticks: with the pid it tells one process from all others.
    package let start: String
    /// Ended, and not yet waited for.
    package let isZombie: Bool

    /// Parses the file's text; nil if it is not of that form.
    package init?(stat: String) {
        // The name may hold anything, parentheses and spaces too: only the last one closes it.
        guard let open = stat.firstIndex(of: "("), let close = stat.lastIndex(of: ")"), open < close,
            let pid = Int32(stat[..<open].dropLast())
        else { return nil }
        // The 22nd field is the 20th after the name.
        let rest = stat[stat.index(after: close)...].split(separator: " ", maxSplits: 20)
        guard rest.count >= 2, let parent = Int32(rest[1]) else { return nil }
        self.pid = pid
        self.parent = parent
        name = String(stat[stat.index(after: open)..<close])
        start = rest.count > 19 ? String(rest[19]) : ""
        isZombie = rest[0] == "Z" || rest[0] == "X"
    }

    /// Reads the entry of one process; nil if there is none now.
    init?(pid: Int32) {
        guard let bytes = try? readFile("/proc/\(pid)/stat", limit: 4096) else { return nil }
        self.init(stat: String(decoding: bytes, as: UTF8.self))
    }

    /// All processes of this pid namespace.
    ///
    /// - Throws: `SystemError("opendir")` without /proc.
    static func all() throws(SystemError) -> [ProcessEntry] {
        try namesInFolder("/proc").compactMap { Int32($0) }.compactMap { ProcessEntry(pid: $0) }
    }
}

/// Those of `entries` that descend from the process `root`, itself excluded.
package func descendants(of root: Int32, in entries: [ProcessEntry]) -> [ProcessEntry] {
    let children = Dictionary(grouping: entries, by: \.parent)
    var found: [ProcessEntry] = []
    var seen: Set<Int32> = [root]
    var parents = [root]
    while let parent = parents.popLast() {
        // `seen`: the entries were not read at one instant, a reused pid may close a circle.
        for child in children[parent] ?? [] where seen.insert(child.pid).inserted {
            found.append(child)
            parents.append(child.pid)
        }
    }
    return found
}
