import Glibc
import LinuxSystem

/// A folder of a test's own, removed with all that is in it when the value goes.
package final class TemporaryFolder {
    package let path: String

    package init() throws {
        var template = Array("/tmp/agent-init-test-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw SystemError.last("mkdtemp") }
        path = String(cString: made)
    }

    deinit { Self.remove(path) }

    private static func remove(_ path: String) {
        for name in (try? namesInFolder(path)) ?? [] {
            let inside = path + "/" + name
            var status = stat()
            guard lstat(inside, &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR { remove(inside) } else { unlink(inside) }
        }
        rmdir(path)
    }

    package func write(_ name: String, _ text: String) throws {
        let file = Descriptor(
            adopting: try retrying("open") { open(path + "/" + name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644) })
        try writeAll(file.number, text)
    }

    package func read(_ name: String) throws -> String {
        String(decoding: try readFile(path + "/" + name, limit: 1 << 20), as: UTF8.self)
    }
}
