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

    /// What there is to say before this process does anything; nil if nothing speaks against the journal.
    ///
    /// - Parameters:
    ///   - ledger: the journal as this process has found it.
    ///   - previous: what the last holder of the job has noted of itself.
    ///   - statement: what the gateway says, if it has.
    /// - Returns: the event that says so, with the furthest that the job is known to have got.
    package func found(
        by ledger: Ledger, previous: Holder.Record?, statement: JournalStatement?
    ) -> Event.Restored? {
        let last = JournalPlace(epoch: ledger.foundEpoch, seq: ledger.found)
        let told = ledger.state.restoredThrough ?? JournalPlace(epoch: 0, seq: 0)
        var signs: [(place: JournalPlace?, words: String)] = []
        if let previous, JournalPlace(epoch: previous.epoch, seq: previous.seq) > last {
            let place = JournalPlace(epoch: previous.epoch, seq: previous.seq)
            signs.append((place, "a process of the job had come to event \(place.seq)"))
        }
        // It may have looked before this process put a backup in place.
        if let beyond = statement?.beyond, beyond > told { signs.append((beyond, words(beyond, statement))) }
        // The process that was told of them may have been killed before it put them away.
        if ledger.state.restoredAtStep != ledger.state.spent.steps, let unknown = strangers(to: ledger.state).first {
            signs.append((nil, "there is output of call \(unknown), which the journal does not know"))
        }
        guard let first = signs.first else { return nil }
        return Event.Restored(
            seq: last.seq, reason: first.words, aside: "", asks: asks, beyond: signs.compactMap(\.place).max())
    }

    /// What the gateway says later; nil if it is nothing that the journal does not say by now.
    package func found(by statement: JournalStatement, in state: JobState) -> Event.Restored? {
        guard let beyond = statement.beyond, beyond > state.restoredThrough ?? JournalPlace(epoch: 0, seq: 0) else {
            return nil
        }
        return Event.Restored(
            seq: state.seq, reason: words(beyond, statement), aside: "", asks: asks, beyond: beyond)
    }

    private func words(_ beyond: JournalPlace, _ statement: JournalStatement?) -> String {
        "\(statement?.witness ?? "the log") has its event \(beyond.seq)"
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
