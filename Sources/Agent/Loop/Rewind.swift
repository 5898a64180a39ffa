import Contracts
package import Events
import Glibc
import LinuxSystem

/// Signs that a job had got further than its journal says: a volume that was put back to an older state, or a database
/// that has lost its newest commits with its -wal, is whole in itself.
///
/// None of this says what was done. It is treated as a restored backup is: the model is told, and a human is asked unless
/// `AGENT_AFTER_RESTORE` is `continue`.
package struct Rewind {
    private let folders: Folders
    private let asks: Bool

    package init(folders: Folders, asks: Bool) {
        self.folders = folders
        self.asks = asks
    }

    /// What the volume itself tells, before this process has done anything; nil if nothing speaks against the journal.
    /// `previous` is what the last holder of the job has noted of itself.
    package func found(by ledger: Ledger, previous: Holder.Record?) -> Event.Restored? {
        let last = (epoch: ledger.foundEpoch, seq: ledger.found)
        if let previous, (previous.epoch, previous.seq) > last {
            return restored(last.seq, "a process of the job had come to event \(previous.seq)")
        }
        guard !ledger.foundRestored, let unknown = strangers(to: ledger.state).first else { return nil }
        return restored(last.seq, "there is output of call \(unknown), which the journal does not know")
    }

    /// What the gateway says.
    package func found(by statement: JournalStatement, in state: JobState) -> Event.Restored? {
        guard let beyond = statement.beyond else { return nil }
        return restored(state.seq, "\(statement.witness) has its event \(beyond)")
    }

    private func restored(_ seq: Int64, _ reason: String) -> Event.Restored {
        Event.Restored(seq: seq, reason: reason, aside: "", asks: asks)
    }

    /// Calls that have left their output and are of no answer that the journal has.
    private func strangers(to state: JobState) -> [String] {
        let names = (try? namesInFolder(folders.outputs)) ?? []
        return names.filter { $0.hasSuffix(".out") }.map { String($0.dropLast(4)) }.filter { id in
            let parts = id.split(separator: ".").map { Int($0) }
            guard parts.count == 2, let turn = parts[0], parts[1] != nil else { return false }
            return turn > state.spent.steps
        }
    }

    /// Puts their output out of the way of the calls that get the same numbers now.
    package func setAside(strangersTo state: JobState) {
        for id in strangers(to: state) {
            let path = "\(folders.outputs)/\(id).out"
            _ = rename(path, "\(path).before-\(state.seq)")
        }
    }
}
