import Events
import Glibc
import LinuxSystem

/// The outputs of commands that lie on the disk, all of a job together, within a budget.
///
/// Guaranteed: no output grows beyond what the budget has left, whatever commands print. Before it would, the oldest outputs
/// that no running command writes go, one after the other, and whoever prints next is told which (`takeRemoved`). If
/// nothing can go, the file ends there and the rest is counted only. There are at most `fileLimit` files.
///
/// The disk is what counts: it is read once in each process, so a kill at any instant loses no count. A kill after a
/// removal and before the next result leaves the removal untold. What an earlier process left is not removed before `settle`:
/// the call or the background command that it belongs to is told with it. Age is the time of the last write by the kernel's
/// clock. Used from the loop's thread.
package final class KeptOutputs {
    private struct Entry {
        var name: String
        var bytes: Int
    }

    /// Outputs that went since the last word about it.
    package struct Removal: Equatable, Sendable {
        /// The first `namedLimit` of them: `<id>.out`.
        package var names: [String] = []
        package var count = 0
        package var bytes = 0

        package static let namedLimit = 20
    }

    private let folder: String
    /// Bytes.
    package var budget: Int
    /// Not in use, oldest first.
    private var past: ArraySlice<Entry> = []
    private var inUse: Set<String> = []
    private var total = 0
    private var isRead = false
    private var mayRemove = false
    private var removal = Removal()

    package static let standardBudget = 512 << 20
    /// Files that are kept, small as they may be: a job of many steps uses up no inodes.
    package static let fileLimit = 16384

    package init(folder: String, budget: Int = standardBudget) {
        self.folder = folder
        self.budget = budget
    }

    /// From now on outputs may go: what an earlier process has left running is in the journal.
    package func settle() { mayRemove = true }

    /// A new output, in the place of an older one of the same name; to be called before its file is opened.
    package func begin(_ name: String) {
        read()
        inUse.insert(name)
        var status = stat()
        if lstat("\(folder)/\(name)", &status) == 0, let index = past.firstIndex(where: { $0.name == name }) {
            total -= past[index].bytes
            past.remove(at: index)
        }
        while past.count + inUse.count > Self.fileLimit, removeOldest() {}
    }

    /// Takes room for so many bytes more of an output.
    ///
    /// - Returns: how many of them it has.
    package func takeRoom(_ bytes: Int) -> Int {
        while total + bytes > budget, removeOldest() {}
        let granted = max(0, min(bytes, budget - total))
        total += granted
        return granted
    }

    /// Nobody writes this output any more; `granted` is all the room that it took.
    package func end(_ name: String, granted: Int) {
        guard inUse.remove(name) != nil else { return }
        var status = stat()
        // Without a file (a full disk) there is nothing that could go.
        let bytes = lstat("\(folder)/\(name)", &status) == 0 ? Int(status.st_size) : nil
        total += (bytes ?? 0) - granted
        if let bytes { past.append(Entry(name: name, bytes: bytes)) }
    }

    /// What went since the last call; nil if nothing did.
    package func takeRemoved() -> Removal? {
        defer { removal = Removal() }
        return removal.count > 0 ? removal : nil
    }

    private func removeOldest() -> Bool {
        guard mayRemove, let oldest = past.popFirst() else { return false }
        // One that cannot be removed goes on counting; the next process tries again.
        guard unlink("\(folder)/\(oldest.name)") == 0 || errno == ENOENT else { return true }
        // An empty one tells nobody anything: it goes without a word.
        guard oldest.bytes > 0 else { return true }
        total -= oldest.bytes
        removal.count += 1
        removal.bytes += oldest.bytes
        if removal.names.count < Removal.namedLimit { removal.names.append(oldest.name) }
        return true
    }

    private func read() {
        guard !isRead else { return }
        isRead = true
        var found: [(written: timespec, entry: Entry)] = []
        for name in (try? namesInFolder(folder)) ?? [] {
            var status = stat()
            guard lstat("\(folder)/\(name)", &status) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
            found.append((status.st_mtim, Entry(name: name, bytes: Int(status.st_size))))
        }
        found.sort { ($0.written.tv_sec, $0.written.tv_nsec) < ($1.written.tv_sec, $1.written.tv_nsec) }
        past = found.map(\.entry)[...]
        total = past.reduce(0) { $0 + $1.bytes }
    }
}

extension KeptOutputs.Removal {
    /// For the model.
    var words: String {
        let calls = names.map { $0.hasSuffix(".out") ? String($0.dropLast(4)) : $0 }.joined(separator: ", ")
        let more = count > names.count ? " and \(count - names.count) more" : ""
        return "to keep the budget of all kept outputs (AGENT_OUTPUT_BUDGET_MIB), the oldest were removed: those of "
            + "\(calls)\(more), \(bytes) bytes; what you need of them again, run again, narrower"
    }

    /// For the log.
    var facts: [String: JSON] {
        [
            "outputs_removed": .array(names.map { .string($0) }), "outputs_removed_count": .int(Int64(count)),
            "outputs_removed_bytes": .int(Int64(bytes)), "outputs_removed_why": "AGENT_OUTPUT_BUDGET_MIB",
        ]
    }
}
