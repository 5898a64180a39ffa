import Glibc

/// A system call that failed: which one, on what, and the kernel's reason.
///
/// It is the one error of this target and the bottom of every other target's errors.
package struct SystemError: Error, Equatable, CustomStringConvertible {
    /// The call as the kernel names it, for example `openat2`.
    package let call: String
    /// The errno value, always positive.
    package let code: Int32
    /// What the call was about (a path, a program), or empty.
    package let subject: String

    package init(_ call: String, code: Int32, subject: String = "") {
        self.call = call
        self.code = code
        self.subject = subject
    }

    /// The error of the call that has just failed, from `errno`.
    package static func last(_ call: String, subject: String = "") -> SystemError {
        SystemError(call, code: errno, subject: subject)
    }

    /// The kernel's words for `code`.
    package var reason: String {
        guard let text = strerror(code) else { return "errno \(code)" }
        return String(cString: text)
    }

    package var description: String {
        subject.isEmpty ? "\(call): \(reason)" : "\(call) \(subject): \(reason)"
    }
}

/// Makes a call that reports failure as -1 with `errno`, again after every EINTR.
///
/// - Throws: `SystemError` with `call` and `subject`.
@discardableResult
package func retrying(
    _ call: String, subject: String = "", _ body: () -> Int32
) throws(SystemError) -> Int32 {
    while true {
        let result = body()
        if result >= 0 { return result }
        if errno != EINTR { throw SystemError.last(call, subject: subject) }
    }
}
