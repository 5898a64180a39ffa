import Agent

/// The contract's form of keys, checked before anything is asked of a store.
enum ObjectKey {
    static let form = "1 to 512 of A-Z a-z 0-9 - _ . /, each segment 1 to 255 long and neither . nor .."

    static func check(_ key: String) throws(ObjectStoreError) {
        let segments = key.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard !key.isEmpty, isPrefix(key), segments.allSatisfy({ (1...255).contains($0.count) }) else {
            throw refusal("the key \"\(key.prefix(600))\"")
        }
    }

    static func checkPrefix(_ prefix: String) throws(ObjectStoreError) {
        guard isPrefix(prefix) else { throw refusal("the prefix \"\(prefix.prefix(600))\"") }
    }

    /// Whether a key could begin with it, as far as its letters and its dots tell.
    private static func isPrefix(_ text: String) -> Bool {
        text.utf8.count <= 512 && text.utf8.allSatisfy(isAllowed)
            && !text.split(separator: "/").contains { $0 == "." || $0 == ".." }
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
            UInt8(ascii: "/"):
            return true
        default: return false
        }
    }

    private static func refusal(_ subject: String) -> ObjectStoreError {
        ObjectStoreError(.refused, "\(subject) is none; accepted: \(form)")
    }
}
