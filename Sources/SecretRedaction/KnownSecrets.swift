import LinuxSystem

/// The secrets that a process knows by their files, for taking them out of what it says.
///
/// A value that was seen once is never forgotten: what was rotated away is still in what a process wrote before. The
/// files are read again before each text, for they change while the process runs. What is kept between two texts is the
/// values alone, at most 1 MiB; the forms that are looked for are made for each text.
package final class KnownSecrets {
    /// A text in the place of one that cannot be cleaned.
    package static let withheld = "(withheld: the secrets folder holds more than 1 MiB, which cannot be looked for)"

    private static let limit = 1 << 20
    private static let fileLimit = 64 << 10
    private static let folderLimit = 8
    private var folders: [String] = []
    private var values: Set<String> = []
    private var size = 0

    package init() {}

    /// Reads the secrets of one more folder, now and before each text.
    package func learn(folder: String) {
        if !folders.contains(folder), folders.count < Self.folderLimit { folders.append(folder) }
        read()
    }

    /// Reads the folders again.
    ///
    /// What cannot be read is passed over: our processes have the same user, so none of them has read it either.
    package func read() {
        for folder in folders {
            // As the agent reads them: a Kubernetes volume has its files behind links whose names begin with a dot.
            for name in (try? namesInFolder(folder)) ?? [] where !name.hasPrefix(".") {
                guard let bytes = try? readFile(folder + "/" + name, limit: Self.fileLimit) else { continue }
                var text = String(decoding: bytes, as: UTF8.self)
                while text.last?.isNewline == true { text.removeLast() }
                guard !text.isEmpty, size <= Self.limit, values.insert(text).inserted else { continue }
                size += text.utf8.count
            }
        }
    }

    /// The text without secrets, and without whatever looks like a credential.
    package func clean(_ text: String) -> String {
        redactor(textLength: text.utf8.count).map { $0.redact(text) } ?? Self.withheld
    }

    /// The same for bytes of any kind.
    package func clean(_ bytes: [UInt8]) -> [UInt8] {
        redactor(textLength: bytes.count).map { $0.redact(bytes) } ?? Array(Self.withheld.utf8)
    }

    private func redactor(textLength: Int) -> Redactor? {
        read()
        return size <= Self.limit ? Redactor(secrets: Array(values), textLength: textLength) : nil
    }
}
