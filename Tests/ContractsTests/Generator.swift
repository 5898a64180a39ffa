import Contracts

/// A seeded generator (SplitMix64), so that a failing case can be made again.
struct Generator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    /// What breaks a line format: its own marks, controls, marks that join the character before, other planes.
    private static let awkward: [Unicode.Scalar] = [
        "\t", "\n", "\r", "\0", "\\", "=", "/", ":", "-", " ", "n", "t", "0", "\u{301}", "\u{200d}", "é", "本", "🧪",
    ]

    /// Up to 24 scalars; at least one if asked for.
    mutating func text(minimum: Int = 0) -> String {
        var result = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: minimum...24, using: &self) {
            let ordinary = Unicode.Scalar(UInt8.random(in: 0x20...0x7e, using: &self))
            result.append(Bool.random(using: &self) ? Self.awkward.randomElement(using: &self) ?? ordinary : ordinary)
        }
        return String(result)
    }

    /// Text as it can stand in a command line: without NUL.
    mutating func argument() -> String {
        text().unicodeScalars.filter { $0 != "\0" }.reduce(into: "") { $0.unicodeScalars.append($1) }
    }

    /// A key as the contracts use them.
    mutating func key() -> String {
        var result = ""
        for _ in 0..<Int.random(in: 1...8, using: &self) {
            result += ["a", "b", "_", "Z", "9"].randomElement(using: &self) ?? "a"
        }
        return result
    }

    mutating func bool() -> Bool { Bool.random(using: &self) }

    mutating func number<Number: FixedWidthInteger>(_ range: ClosedRange<Number>) -> Number {
        // The ends are where mistakes are.
        switch UInt8.random(in: 0..<8, using: &self) {
        case 0: range.lowerBound
        case 1: range.upperBound
        default: Number.random(in: range, using: &self)
        }
    }

    mutating func target() -> NetworkTarget? {
        let bytes = (0..<(bool() ? 4 : 16)).map { _ in number(0...UInt8.max) }
        guard let address = IPAddress(bytes: bytes) else { return nil }
        return NetworkTarget(
            address, prefix: bool() ? nil : number(0...bytes.count * 8), port: bool() ? nil : number(1...UInt16.max))
    }

    mutating func policy() -> NetworkPolicy {
        switch number(0...3 as ClosedRange<Int>) {
        case 0: return .none
        case 1: return .open
        default:
            let targets = (0..<number(1...4 as ClosedRange<Int>)).compactMap { _ in target() }
            return targets.isEmpty ? .none : .only(targets)
        }
    }
}
