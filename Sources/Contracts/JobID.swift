/// A job's name: 1 to 128 of `A–Z a–z 0–9 _ -`, so that it is one NATS token and one file name.
package struct JobID: Hashable, Sendable, CustomStringConvertible {
    package let text: String

    /// What is accepted, in words for an error.
    package static let form = "1 to 128 letters, digits, '_' or '-'"

    package init?(_ text: String) {
        let isAllowed = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        guard isAllowed, (1...128).contains(text.utf8.count) else { return nil }
        self.text = text
    }

    private init(unchecked text: String) { self.text = text }

    /// Stands where there is no job: never the name of one that is run.
    package static let none = JobID(unchecked: "none")
    /// What `exec` and `doctor` are, where JOB_ID is not set.
    package static let sandbox = JobID(unchecked: "sandbox")

    package var description: String { text }
}
