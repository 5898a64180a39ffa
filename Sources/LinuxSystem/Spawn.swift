import CLinux
import Glibc

/// A program to start as a child of this process.
///
/// posix_spawn, never fork: fork and exec from a 512 MB parent takes 46 ms and copies its secrets, posix_spawn 0.8 ms
/// whatever the size (measured, docs/ARCHITECTURE.md).
package struct Spawn {
    /// The file to execute; no PATH search.
    package var path: String
    /// argv, the name included.
    package var arguments: [String]
    /// The whole environment as `NAME=value`; nothing is inherited.
    package var environment: [String]
    /// Which of our descriptors becomes which of the child's, at most 64; all others above 2 are closed in the child.
    package var descriptors: [(ours: Int32, childs: Int32)]
    /// Start a new session, so that no terminal signal reaches the child.
    package var newSession = false

    package init(path: String, arguments: [String], environment: [String], descriptors: [(ours: Int32, childs: Int32)])
    {
        self.path = path
        self.arguments = arguments
        self.environment = environment
        self.descriptors = descriptors
    }

    /// Starts it and returns the child's pid.
    ///
    /// The child has an empty signal mask and default dispositions: it would otherwise inherit the calling thread's
    /// mask and our ignored signals. Blocks until the child has executed or failed to.
    /// - Throws: `SystemError("posix_spawn")`, with ENOENT, EACCES or ENOEXEC as from execve(2).
    package func start() throws(SystemError) -> Int32 {
        let result = withCStrings(arguments) { argv in
            withCStrings(environment) { envp in
                clinux_spawn(
                    path, argv, envp, descriptors.map(\.ours), descriptors.map(\.childs), Int32(descriptors.count),
                    newSession ? 1 : 0)
            }
        }
        guard result > 0 else { throw SystemError("posix_spawn", code: -result, subject: path) }
        return result
    }
}

/// Calls `body` with a null-terminated array of C strings, valid only during the call.
package func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    withUnsafeTemporaryAllocation(of: UnsafeMutablePointer<CChar>?.self, capacity: strings.count + 1) { pointers in
        for (index, string) in strings.enumerated() { pointers.initializeElement(at: index, to: strdup(string)) }
        pointers.initializeElement(at: strings.count, to: nil)
        defer { for pointer in pointers { free(pointer) } }
        guard let base = pointers.baseAddress else { preconditionFailure("an allocation with an element has a base") }
        return body(UnsafePointer(base))
    }
}
