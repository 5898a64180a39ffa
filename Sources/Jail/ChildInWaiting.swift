import CLinux
import Contracts
import Glibc
import LinuxSystem

/// A command's process that was made before its command is known: it has put on the jail, and waits for what to execute.
///
/// Nobody can reach it but its janitor: it is not dumpable, takes signals from the janitor's domain alone, and its socket
/// is the only descriptor it has beside /dev/null three times and the pipe for its failures.
struct ChildInWaiting: ~Copyable {
    private let process: Held
    private let socket: Descriptor
    private let listener: Descriptor

    /// A child that has no command is killed when nobody has a use for it any more.
    private struct Held: ~Copyable {
        let pid: Int32

        /// It only waits, so SIGKILL ends it at once; the time is a limit and no more.
        private static let limit: Int64 = 1000

        init(_ pid: Int32) { self.pid = pid }

        deinit {
            _ = kill(pid, SIGKILL)
            _ = reap(pid, until: .after(milliseconds: Self.limit))
        }

        consuming func release() -> Int32 {
            let pid = self.pid
            discard self
            return pid
        }
    }

    /// How long it may take to put on the jail, in milliseconds: half of what the loop gives its janitor.
    private static let patience: Int64 = 500

    /// - Throws: `SystemError` if it has not got as far as to hand over the filter's listener. Nothing is left of it.
    init(
        _ plan: JailPlan, ruleset: Int32, filter: [cjail_instruction], failures: Int32
    ) throws(SystemError) {
        var ends = try DescriptorMessage.socketPair()
        let limits = plan.limits.map { cjail_limit(resource: $0.resource, soft: $0.soft, hard: $0.hard) }
        let result = limits.withUnsafeBufferPointer { limits in
            filter.withUnsafeBufferPointer { filter in
                var child = cjail_child(
                    candidates: nil, arguments: nil, environment: nil, directory: -1, ruleset: ruleset,
                    failures: failures, limits: limits.baseAddress, limit_count: Int32(limits.count),
                    filter: filter.baseAddress, filter_count: Int32(filter.count), terminal: -1,
                    drops_capabilities: plan.dropsCapabilities ? 1 : 0, broker: ends.writer.number)
                return cjail_prepare(&child, ends.writer.number)
            }
        }
        guard result > 0 else { throw SystemError("fork", code: -result) }
        let process = Held(result)
        // Ours would keep the end of the child's from being seen.
        ends.writer = Descriptor(adopting: -1)
        let socket = ends.takeReader()
        guard try !waitReadable([socket.number], until: .after(milliseconds: Self.patience)).isEmpty else {
            throw SystemError("fork", code: ETIMEDOUT)
        }
        let listener = cbroker_take_descriptor(socket.number)
        guard listener >= 0 else { throw SystemError("recvmsg", code: -listener) }
        self.process = process
        self.socket = socket
        self.listener = Descriptor(adopting: listener)
    }

    /// One that has been given its command.
    struct Given: ~Copyable {
        let pid: Int32
        private let listener: Descriptor

        fileprivate init(pid: Int32, listener: consuming Descriptor) {
            self.pid = pid
            self.listener = listener
        }

        /// What the command's sockets wait for.
        consuming func takeListener() -> Descriptor { listener }
    }

    /// Gives it a command, and our 0, 1 and 2.
    ///
    /// - Returns: nil if it has ended, or was stopped, or the command is too long for it: it is gone then, and has run
    ///   nothing.
    consuming func take(_ request: JailRequest, in directory: Int32) -> Given? {
        // Whoever stopped it after this look has stopped a command, which its time limit then ends.
        guard cjail_waits(process.pid) == 0 else { return nil }
        let result = withCStrings(programCandidates(request)) { candidates in
            withCStrings(request.command) { arguments in
                withCStrings(request.environment) { environment in
                    var child = cjail_child()
                    child.candidates = candidates
                    child.arguments = arguments
                    child.environment = environment
                    child.directory = directory
                    return cjail_give(socket.number, &child)
                }
            }
        }
        guard result == 0 else { return nil }
        return Given(pid: process.release(), listener: listener)
    }
}
