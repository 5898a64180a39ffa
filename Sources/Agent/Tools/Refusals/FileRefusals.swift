import Contracts
import LinuxSystem

/// Words for paths that a command was refused, taken from its output: Landlock says only EACCES, and only to the program.
///
/// What it says is about the path alone and true whatever the reason was: that it lies outside what the command may
/// write, or reach at all. It says nothing about paths inside, where the reason is another one. Bounded: it looks at the
/// lines with the words of the two errors, at 512 bytes of each, and gives at most `limit` sentences.
struct FileRefusals {
    let folders: Folders
    let profile: JailProfile

    static let limit = 5
    private static let lineLimit = 512
    /// As strerror(3) has them in the C locale, which commands run in; in lower case.
    private static let complaints = ["permission denied", "read-only file system"]
    /// Around a path in what programs print: 'p', "p", `p', ‘p’, and brackets.
    private static let marks: Set<Unicode.Scalar> = [
        "'", "\"", "`", "\u{2018}", "\u{2019}", "(", ")", "[", "]", "<", ">",
    ]

    func sentences(of output: String) -> [String] {
        var paths: [String] = []
        // By scalars: "\r\n" is one Character.
        for line in output.unicodeScalars.split(separator: "\n") {
            guard let path = Self.path(in: line.prefix(Self.lineLimit)) else { continue }
            let real = canonicalPath(path)
            guard !paths.contains(real), sentence(about: real) != nil else { continue }
            paths.append(real)
            if paths.count == Self.limit { break }
        }
        return paths.compactMap(sentence)
    }

    /// The absolute path that a line complains about: the last before the complaint, or else the first after it.
    static func path(in line: some Collection<Unicode.Scalar>) -> String? {
        let text = String(String.UnicodeScalarView(line))
        let lower = text.lowercased()
        // Lowercasing keeps the number of bytes of ASCII; other text may shift, and then no path is found there.
        guard lower.utf8.count == text.utf8.count,
            let found = complaints.compactMap({ position(of: $0, in: lower) }).min()
        else { return nil }
        let bytes = Array(text.utf8)
        let before = paths(in: String(decoding: bytes[..<found], as: UTF8.self))
        return before.last ?? paths(in: String(decoding: bytes[found...], as: UTF8.self)).first
    }

    private static func position(of words: String, in text: String) -> Int? {
        let words = Array(words.utf8)
        let text = Array(text.utf8)
        guard text.count >= words.count else { return nil }
        return (0...(text.count - words.count)).first {
            text[$0] == words[0] && text[$0..<($0 + words.count)].elementsEqual(words)
        }
    }

    /// What begins with a slash after a space, a mark or the line's beginning, and ends at a mark, a space or a colon.
    private static func paths(in text: String) -> [String] {
        var result: [String] = []
        var current: String.UnicodeScalarView?
        var isStart = true
        func end() {
            if let path = current, path.count > 1 { result.append(String(path)) }
            current = nil
        }
        for scalar in text.unicodeScalars {
            let isEdge = scalar.properties.isWhitespace || marks.contains(scalar) || scalar == ":" || scalar == ","
            if current != nil {
                if isEdge { end() } else { current?.append(scalar) }
            } else if scalar == "/", isStart {
                current = String.UnicodeScalarView([scalar])
            }
            // Not after a colon: that is how an address goes on.
            isStart = isEdge && scalar != ":" || scalar == "="
        }
        end()
        return result
    }

    /// Nil for a path of which nothing can be said.
    private func sentence(about path: String) -> String? {
        let name = printable(path)
        let writable =
            [folders.home, folders.temporary, JailGrants.sharedMemory] + (profile == .tactical ? [folders.project] : [])
        if writable.contains(where: { isPath(path, inside: $0) }) || isPath(path, inside: "/dev") { return nil }
        let advice =
            profile == .tactical
            ? "write below \(folders.project), $HOME or $TMPDIR" : "write below $HOME or $TMPDIR"
        if isPath(path, inside: folders.project) {
            return "\(name) lies in the project tree, which is read-only in the strategic phase; \(advice)"
        }
        if JailGrants.systemFolders.contains(where: { isPath(path, inside: $0) }) {
            return "\(name) lies outside what a command may write; \(advice)"
        }
        return "\(name) lies outside what a command may reach; read and \(advice)"
    }
}
