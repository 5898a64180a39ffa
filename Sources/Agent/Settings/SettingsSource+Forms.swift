import Contracts

/// The forms that values have. Each gives nil, or the default, for a value that is not set or not accepted; the latter is
/// kept as a problem.
extension SettingsSource {
    /// A whole number in `range`.
    func number(_ name: String, _ range: ClosedRange<Int>) -> Int? {
        guard let text = self[name] else { return nil }
        if let value = Int(text), range.contains(value) { return value }
        refuse(
            .setting(name, "is \"\(text)\"", accepted: "a whole number from \(range.lowerBound) to \(range.upperBound)")
        )
        return nil
    }

    /// A whole number of seconds, in milliseconds.
    func seconds(_ name: String, _ range: ClosedRange<Int>, default standard: Int) -> Int64 {
        Int64(number(name, range) ?? standard) * 1000
    }

    /// A decimal number of at least 0.
    func decimal(_ name: String) -> Double? {
        guard let text = self[name] else { return nil }
        if let value = Double(text), value >= 0, value.isFinite { return value }
        refuse(.setting(name, "is \"\(text)\"", accepted: "a number of at least 0"))
        return nil
    }

    func flag(_ name: String, default standard: Bool) -> Bool {
        switch self[name] {
        case nil: return standard
        case "true", "1": return true
        case "false", "0": return false
        case let text?:
            refuse(.setting(name, "is \"\(text)\"", accepted: "true, false"))
            return standard
        }
    }

    /// One of the words of an enumeration.
    func word<Word: RawRepresentable<String> & CaseIterable>(_ name: String) -> Word? {
        guard let text = self[name] else { return nil }
        if let word = Word(rawValue: text) { return word }
        let words = Word.allCases.map(\.rawValue).joined(separator: ", ")
        refuse(.setting(name, "is \"\(text)\"", accepted: words))
        return nil
    }

    /// Two settings of which at most one may be set.
    func exclude(_ one: String, _ other: String) {
        guard self[one] != nil, self[other] != nil else { return }
        refuse(StartError(.configuration, "\(one) and \(other) are both set; accepted: one of them"))
    }
}
