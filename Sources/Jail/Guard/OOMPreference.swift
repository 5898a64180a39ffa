import Glibc
import LinuxSystem

/// Makes the command what the kernel kills first, should memory run out all the same: oom_score_adj 1000, the highest.
///
/// The child inherits the value at the fork, and only privilege lowers it again. Whoever starts a child under it is at
/// that value itself for a moment. It is a second line: where the pod's cgroup has memory.oom.group, all are killed.
struct OOMPreference: ~Copyable {
    private let file: Descriptor
    private let usual: String

    /// To be made while the process is still dumpable: it cannot open its own file afterwards. Without /proc, or where
    /// a container hides the file, it does nothing.
    init() {
        file = Descriptor(adopting: open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC))
        var digits: (UInt64, UInt64) = (0, 0)
        let number = file.number
        usual = withUnsafeMutableBytes(of: &digits) { buffer in
            let count = read(number, buffer.baseAddress, buffer.count)
            return String(decoding: buffer[..<max(0, count)].prefix { $0 > 32 }, as: UTF8.self)
        }
    }

    borrowing func raise() { write("1000") }

    borrowing func restore() { write(usual) }

    private borrowing func write(_ value: String) {
        guard !usual.isEmpty else { return }
        _ = try? writeAll(file.number, value)
    }
}
