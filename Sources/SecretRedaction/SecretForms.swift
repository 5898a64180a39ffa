/// The ways in which a secret may stand in a text.
enum SecretForms {
    /// Shorter values would redact ordinary words; they are no secrets worth the name.
    static let shortest = 8

    /// All forms of the secret that have at least `shortest` bytes and of which the shortest, the value itself, has at
    /// most `longest`.
    static func all(of secret: String, atMost longest: Int) -> Set<[UInt8]> {
        var forms: Set<[UInt8]> = []
        var values = [Array(secret.utf8)]
        // Programs print a key or a certificate line by line.
        let lines = secret.split(whereSeparator: \.isNewline)
        if lines.count > 1 { values += lines.map { Array($0.utf8) } }
        for value in values where value.count >= shortest && value.count <= longest {
            forms.insert(value)
            forms.insert(jsonEscaped(value, solidus: false))
            forms.insert(jsonEscaped(value, solidus: true))
            for digits in [lowerDigits, upperDigits] {
                forms.insert(percentEncoded(value, digits: digits))
                forms.insert(value.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
            }
            for alphabet in [standardAlphabet, urlAlphabet] {
                for shift in 0..<3 { forms.insert(base64(value, shift: shift, alphabet: alphabet)) }
            }
        }
        return forms.filter { $0.count >= shortest }
    }

    private static let lowerDigits = Array("0123456789abcdef".utf8)
    private static let upperDigits = Array("0123456789ABCDEF".utf8)
    private static let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    private static let standardAlphabet = Array((letters + "+/").utf8)
    private static let urlAlphabet = Array((letters + "-_").utf8)

    private static func jsonEscaped(_ value: [UInt8], solidus: Bool) -> [UInt8] {
        value.flatMap { byte -> [UInt8] in
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): [UInt8(ascii: "\\"), byte]
            case UInt8(ascii: "/") where solidus: [UInt8(ascii: "\\"), byte]
            case 0x0a: Array("\\n".utf8)
            case 0x0d: Array("\\r".utf8)
            case 0x09: Array("\\t".utf8)
            case 0x00..<0x20: Array("\\u00".utf8) + [lowerDigits[Int(byte >> 4)], lowerDigits[Int(byte & 15)]]
            default: [byte]
            }
        }
    }

    private static func percentEncoded(_ value: [UInt8], digits: [UInt8]) -> [UInt8] {
        value.flatMap { byte -> [UInt8] in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                [byte]
            default: [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
    }

    /// The characters that depend on the value alone when `shift` bytes of something else stand before it and
    /// anything may follow it.
    private static func base64(_ value: [UInt8], shift: Int, alphabet: [UInt8]) -> [UInt8] {
        let bits = [UInt8](repeating: 0, count: shift) + value
        let first = (shift * 8 + 5) / 6
        let last = bits.count * 8 / 6
        return (first..<last).map { index in
            let bit = index * 6
            let byte = Int(bits[bit / 8]) << 8 | (bit / 8 + 1 < bits.count ? Int(bits[bit / 8 + 1]) : 0)
            return alphabet[byte >> (10 - bit % 8) & 63]
        }
    }
}
