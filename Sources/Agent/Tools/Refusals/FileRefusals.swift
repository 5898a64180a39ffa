import Contracts
import Glibc
import LinuxSystem

/// Words for paths that a command was refused, taken from its output: Landlock says only EACCES, and only to the program.
///
/// What it says is about the path alone and true whatever the reason was: that it lies outside what the command may
/// write, or reach at all. It says nothing about paths inside, where the reason is another one, nor of a file of the image
/// that the kernel would not show to this user without a jail. Of a path that is not absolute it knows only that the
/// project tree is read-only in the strategic phase. Bounded: it looks at the lines with the words of the errors, at 512
/// bytes of each, and gives at most `limit` sentences.
struct FileRefusals {
    let folders: Folders
    let profile: JailProfile

    static let limit = 5
    private static let lineLimit = 512
    /// As strerror(3) has them in the C locale, which commands run in; in lower case.
    private static let complaints = ["permission denied", "read-only file system", "invalid cross-device link"]
    /// Around a path in what programs print: 'p', "p", `p', ‘p’, and brackets.
    private static let marks: Set<Unicode.Scalar> = [
        "'", "\"", "`", "\u{2018}", "\u{2019}", "(", ")", "[", "]", "<", ">",
    ]

    func sentences(of output: String) -> [String] {
        var result: [String] = []
        // By scalars: "\r\n" is one Character.
        for line in output.unicodeScalars.split(separator: "\n") {
            let text = String(String.UnicodeScalarView(line.prefix(Self.lineLimit)))
            guard let words = sentence(ofLine: text), !result.contains(words) else { continue }
            result.append(words)
            if result.count == Self.limit { break }
        }
        return result
    }

    private func sentence(ofLine text: String) -> String? {
        let lower = text.lowercased()
        if lower.contains("ptrace"), lower.contains("operation not permitted") {
            return "a command can trace only what it has started itself"
        }
        // Lowercasing keeps the number of bytes of ASCII; other text may shift, and then no path is found there.
        guard lower.utf8.count == text.utf8.count,
            let found = Self.complaints.compactMap({ Self.position(of: $0, in: lower) }).min()
        else { return nil }
        if ["'/'", "\"/\"", "\u{2018}/\u{2019}"].contains(where: { Self.position(of: $0, in: text) != nil }) {
            return "/ cannot be listed; name the folder, for example \(folders.project), /usr or /etc"
        }
        let bytes = Array(text.utf8)
        let before = Self.withoutSpeaker(String(decoding: bytes[..<found], as: UTF8.self))
        let after = String(decoding: bytes[found...], as: UTF8.self)
        // The last path before the complaint, or else the first after it.
        if let path = Self.paths(in: before).last ?? Self.paths(in: after).first {
            return sentence(about: canonicalPath(path))
        }
        guard let path = Self.relativePath(before, after), !path.hasPrefix("/") else { return nil }
        if path.hasPrefix("../") { return sentence(about: canonicalPath(folders.project + "/" + path)) }
        guard profile == .strategic, isAboutWriting(path, lower) else { return nil }
        return "the project tree is read-only in the strategic phase (\(printable(path))); \(advice)"
    }

    /// A line without the program that speaks at its beginning: `/usr/bin/ld: cannot open output file a`.
    private static func withoutSpeaker(_ text: String) -> String {
        guard text.hasPrefix("/"), let colon = text.firstIndex(of: ":") else { return text }
        let rest = text[text.index(after: colon)...]
        return rest.contains { $0 != ":" && !$0.isWhitespace } ? String(rest) : text
    }

    /// The name that a line without an absolute path complains about: in quotation marks after the complaint, as Python and
    /// node have it, or else the last word before it.
    private static func relativePath(_ before: String, _ after: String) -> String? {
        let quotes: Set<Character> = ["'", "\""]
        if let start = after.firstIndex(where: quotes.contains) {
            return after[after.index(after: start)...].split(whereSeparator: quotes.contains).first.map(String.init)
        }
        let words = before.unicodeScalars.split {
            marks.contains($0) || $0.properties.isWhitespace || $0 == ":" || $0 == ","
        }
        return words.last.map { String(String.UnicodeScalarView($0)) }
    }

    /// Whether a refusal in the project tree can be taken for that of writing there: `ssh: Permission denied` is none, nor
    /// that of a script which nobody has made executable.
    private func isAboutWriting(_ path: String, _ line: String) -> Bool {
        let file = folders.project + "/" + path
        if path.hasPrefix("./"), access(file, F_OK) == 0, access(file, X_OK) != 0 { return false }
        return path.contains("/") || path.contains(".") || access(file, F_OK) == 0
            || Self.verbs.contains { line.contains($0) }
    }

    private static let verbs = ["cannot", "can't", "could not", "unable", "failed to", "errno", "eacces", ": line "]

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

    private var advice: String {
        profile == .tactical ? "write below \(folders.project), $HOME or $TMPDIR" : "write below $HOME or $TMPDIR"
    }

    /// Nil for a path of which nothing can be said.
    private func sentence(about path: String) -> String? {
        let name = printable(path)
        let writable =
            [folders.home, folders.temporary, JailGrants.sharedMemory] + (profile == .tactical ? [folders.project] : [])
        if writable.contains(where: { isPath(path, inside: $0) }) || isPath(path, inside: "/dev") { return nil }
        if isPath(path, inside: folders.project) {
            return "\(name) lies in the project tree, which is read-only in the strategic phase; \(advice)"
        }
        if (JailGrants.systemFolders + folders.tools).contains(where: { isPath(path, inside: $0) }) {
            // Not for this user, jail or not: /etc/shadow. (Landlock has no hook for access(2).)
            if access(path, F_OK) == 0, access(path, R_OK) != 0 { return nil }
            return "\(name) lies outside what a command may write; \(advice)"
        }
        return "\(name) lies outside what a command may reach; read and \(advice)"
    }
}
