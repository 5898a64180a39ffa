import Agent
import Glibc
import LinuxSystem
package import SecretRedaction

/// The secrets of the job as they are now and as they were since the start, for their redaction.
///
/// A secret may be rotated while the job runs, and the loop uses it from then on. `refresh` looks at the folder: names,
/// files and times, not contents. It is to be called between the reading of a text and its redaction: whoever wrote the
/// text had read the secret before, so it stands in the folder by then. What a folder has had only between two such looks
/// is not known.
///
/// Memory: the present values and at most `remembered` earlier ones.
package struct LoadedSecrets {
    /// A file as far as it tells that its content is another.
    private struct Mark: Equatable {
        let name: String
        let device: UInt64
        let number: UInt64
        let size: Int64
        let seconds: Int64
        let nanoseconds: Int64
    }

    /// Nil: nothing can come.
    private let folder: String?
    private var marks: [Mark] = []
    /// The oldest first, each once.
    private var values: [String]
    private var present: Int
    package private(set) var redactor: Redactor

    private static let remembered = 256

    /// `values` are those of the start; `folder` is looked at for later ones.
    package init(_ values: [String], folder: String? = nil) {
        self.folder = folder
        self.values = values
        present = values.count
        redactor = Redactor(secrets: values)
        refresh()
    }

    /// Takes in what has changed in the folder.
    ///
    /// A folder that cannot be read at this moment, since it is being exchanged, is looked at again next time.
    /// - Returns: whether there is another redactor.
    @discardableResult
    package mutating func refresh() -> Bool {
        guard let folder, let found = Self.marks(of: folder), found != marks else { return false }
        // After the look: what changes in between has other marks at the next one.
        guard let secrets = try? Secrets(folder: folder) else { return false }
        marks = found
        let current = secrets.all
        guard Set(current) != Set(values.suffix(present)) else { return false }
        let earlier = values.filter { !current.contains($0) }
        values = earlier.suffix(Self.remembered) + current
        present = current.count
        redactor = Redactor(secrets: values)
        return true
    }

    private static func marks(of folder: String) -> [Mark]? {
        guard let names = try? namesInFolder(folder) else { return nil }
        var marks: [Mark] = []
        for name in names where !name.hasPrefix(".") {
            var status = stat()
            guard stat(folder + "/" + name, &status) == 0 else { return nil }
            marks.append(
                Mark(
                    name: name, device: UInt64(status.st_dev), number: UInt64(status.st_ino),
                    size: Int64(status.st_size), seconds: Int64(status.st_ctim.tv_sec),
                    nanoseconds: Int64(status.st_ctim.tv_nsec)))
        }
        return marks
    }
}
