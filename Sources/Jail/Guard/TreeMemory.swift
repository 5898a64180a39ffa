import Glibc
import LinuxSystem

/// The memory of the processes of one janitor's command.
enum TreeMemory {
    /// Private memory, in bytes: what would be free if they ended.
    ///
    /// A process belongs to the command exactly if the janitor can signal it: its Landlock domain sees to that, whatever
    /// became of parents and sessions. Two looks: resident minus shared, which is cheap and counts a page once for each
    /// process that shares it after a fork; and, only if that is above `limit`, the kernel's proportional account.
    static func bytes(refinedAbove limit: Int64) -> Int64 {
        let processes = members()
        let page = Int64(sysconf(Int32(_SC_PAGESIZE)))
        var sum: Int64 = 0
        for process in processes { sum += pages(of: process) * page }
        guard sum > limit else { return sum }
        var exact: Int64 = 0
        // One that has just ended has neither, and must not count by what it had.
        for process in processes { exact += proportional(of: process) ?? pages(of: process) * page }
        return exact
    }

    /// The command's processes, at most 4096.
    private static func members() -> [Int32] {
        guard let folder = opendir("/proc") else { return [] }
        defer { closedir(folder) }
        let own = getpid()
        var result: [Int32] = []
        while let entry = readdir(folder), result.count < 4096 {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { atoi($0) }
            }
            if name > 1, name != own, kill(name, 0) == 0 { result.append(name) }
        }
        return result
    }

    /// size resident shared … (proc_pid_statm(5))
    private static func pages(of process: Int32) -> Int64 {
        guard let bytes = try? readFile("/proc/\(process)/statm", limit: 4096) else { return 0 }
        let fields = String(decoding: bytes, as: UTF8.self).split(separator: " ")
        guard fields.count > 2, let resident = Int64(fields[1]), let shared = Int64(fields[2]) else { return 0 }
        return max(0, resident - shared)
    }

    /// Pss_Anon of smaps_rollup, in bytes; nil where it cannot be read.
    private static func proportional(of process: Int32) -> Int64? {
        guard let bytes = try? readFile("/proc/\(process)/smaps_rollup", limit: 16384) else { return nil }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") where line.hasPrefix("Pss_Anon:") {
            return line.split(separator: " ").dropFirst().first.flatMap { Int64($0) }.map { $0 * 1024 }
        }
        return nil
    }
}
