/// What the gateway tells the loop about the job's journal, at its own start and at the loop's: whether the log knows of
/// events that the journal has not.
///
/// A volume that was put back to an older state, or is a new one, has a journal that is whole and too short. Nothing on it
/// says so, but what had been published does.
package struct JournalStatement: Equatable, Sendable {
    /// An event that was published and that the journal does not have; nil if there is none.
    package var beyond: JournalPlace?
    /// Who knows of it, in words.
    package var witness: String
    /// Who could not be asked; empty if everybody was.
    package var unasked: String

    package init(beyond: JournalPlace? = nil, witness: String = "", unasked: String = "") {
        self.beyond = beyond
        self.witness = witness
        self.unasked = unasked
    }

    /// Reads a line of the command pipe; nil if it is something else.
    package init?(_ json: JSON) {
        guard let members = json["journal"], members.object != nil else { return nil }
        self.init(witness: members["witness"]?.string ?? "", unasked: members["unasked"]?.string ?? "")
        if let epoch = members["epoch"]?.int, let seq = members["beyond"]?.int {
            beyond = JournalPlace(epoch: Int64(epoch), seq: Int64(seq))
        }
    }

    /// The line, with its newline.
    package var line: String {
        let members: JSON = [
            "beyond": beyond.map { .int($0.seq) } ?? .null, "epoch": beyond.map { .int($0.epoch) } ?? .null,
            "witness": .string(witness), "unasked": .string(unasked),
        ]
        return JSON.object(["journal": members]).text + "\n"
    }
}
