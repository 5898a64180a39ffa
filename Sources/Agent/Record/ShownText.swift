/// One line of at most `limit` characters, without control characters: what a model or a provider wrote must not steer
/// a terminal.
package func shownLine(_ text: String, limit: Int = 100) -> String {
    let line = text.unicodeScalars.prefix(limit + 1).map { scalar in
        scalar.value < 0x20 || (0x7f..<0xa0).contains(scalar.value) ? " " : scalar
    }
    let shown = String(String.UnicodeScalarView(line.prefix(limit)))
    return line.count > limit ? shown + "…" : shown
}
