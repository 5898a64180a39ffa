import Glibc

/// Colours for a terminal, or none.
package struct TerminalStyle: Equatable, Sendable {
    package var hasColour: Bool

    package init(hasColour: Bool) { self.hasColour = hasColour }

    /// Colours if the descriptor is a terminal that can show them and the environment does not ask for none
    /// (no-color.org).
    package init(descriptor: Int32, environment: [String: String]) {
        hasColour =
            isatty(descriptor) == 1 && environment["NO_COLOR", default: ""].isEmpty && environment["TERM"] != "dumb"
    }

    enum Colour: String {
        case bold = "1"
        case dim = "2"
        case red = "31"
        case green = "32"
        case yellow = "33"
        case cyan = "36"
        case heading = "1;36"
    }

    func paint(_ text: String, _ colour: Colour) -> String {
        hasColour ? "\u{1b}[\(colour.rawValue)m\(text)\u{1b}[0m" : text
    }

    /// The text without what could move the cursor, change the title or hide what follows: a command's output is not
    /// to be trusted with the reader's terminal.
    static func harmless(_ text: some StringProtocol) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x09: result.append(contentsOf: "    ".unicodeScalars)
            case 0x0a: result.append(scalar)
            case 0x00..<0x20, 0x7f, 0x80..<0xa0, 0x200e, 0x200f, 0x202a...0x202e, 0x2066...0x2069: continue
            default: result.append(scalar)
            }
        }
        return String(result)
    }
}
