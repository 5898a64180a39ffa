package import Contracts
import Glibc
package import Jail
package import LinuxSystem

/// Something that a rule forbids, as a program that tries it.
package struct Attempt: Sendable, CustomStringConvertible {
    /// The name of the rule whose promise is tried, and of others that keep the same promise.
    package let rule: String
    package let alsoHeldBy: [String]
    /// What is tried, as a sentence without a subject: "read a file beside the project".
    package let title: String
    package let profile: JailProfile
    /// Only root can do it at all, jail or not.
    package let needsRoot: Bool
    /// Python. It raises OSError if what it tries is refused.
    let script: String

    package init(
        _ rule: String, _ title: String, alsoHeldBy: [String] = [], profile: JailProfile = .tactical,
        needsRoot: Bool = false, _ script: String
    ) {
        self.rule = rule
        self.alsoHeldBy = alsoHeldBy
        self.title = title
        self.profile = profile
        self.needsRoot = needsRoot
        self.script = script
    }

    /// A call that the kernel itself answers, with success or with an error other than the filter's.
    package init(_ rule: String, reach call: String, _ number: Int, _ arguments: String) {
        self.init(rule, "reach \(call)", "reach(\(number), \(arguments))")
    }

    package var description: String { "\(rule): \(title)" }

    /// How an attempt went.
    package enum Outcome: Equatable, Sendable {
        case succeeded, refused
        /// The attempt itself is broken: it proves nothing.
        case broken(ProcessEnd)
    }

    /// Tries it in `scene`, in a jail of `rules` on the running kernel.
    package func outcome(in scene: borrowing Scene, rules: [any JailRule]) throws -> Outcome {
        let request = JailRequest(
            profile: profile, project: scene.project, home: scene.home, temporary: scene.temporary, timeout: 60_000,
            grace: 0, environment: ["PATH=/usr/bin:/bin"],
            command: ["/usr/bin/python3", "-c", prelude(scene) + indented(script) + Self.conclusion])
        let launch = try Launch(request, try JailPlan(rules, for: request, on: Kernel.probe()))
        let started = try launch.start()
        var status: Int32 = 0
        while true {
            // What the janitor does, without its domain.
            let result = waitpid(started.pid, &status, started.broker == nil ? 0 : WNOHANG)
            if result == started.pid { break }
            guard result == 0 || errno == EINTR else { throw SystemError.last("waitpid") }
            if let broker = started.broker {
                _ = try waitReadable([broker.descriptor], until: .after(milliseconds: 5))
                broker.serve()
            }
        }
        if let failure = launch.failure() { throw failure }
        switch ProcessEnd(status: status) {
        case .exited(0): return .succeeded
        case .exited(Self.refusedCode): return .refused
        case let other: return .broken(other)
        }
    }

    /// An exit code that no broken script ends with by chance.
    private static let refusedCode: Int32 = 42

    private func prelude(_ scene: borrowing Scene) -> String {
        """
        import ctypes, errno, os, resource, signal, socket, sys
        outside, victim, port, name = \(quoted(scene.outside)), \(scene.victim), \(scene.port), \(quoted(scene.socket))
        libc = ctypes.CDLL(None, use_errno=True)
        def call(number, *arguments):
            result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(value) for value in arguments])
            if result < 0: raise OSError(ctypes.get_errno(), 'refused')
            return result
        def reach(number, *arguments):
            try: call(number, *arguments)
            except OSError as error:
                if error.errno in (errno.EPERM, errno.ENOSYS): raise
        try:

        """
    }

    private static let conclusion = "\nexcept OSError: sys.exit(\(Attempt.refusedCode))\n"

    private func indented(_ script: String) -> String {
        script.split(separator: "\n").map { "    " + $0 }.joined(separator: "\n")
    }

    private func quoted(_ text: String) -> String { "'" + text + "'" }
}
