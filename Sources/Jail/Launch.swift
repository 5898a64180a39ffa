import CLinux
package import Contracts
import Glibc
package import LinuxSystem

/// A command whose jail is built and that needs only to be started.
package struct Launch: ~Copyable {
    private var fabric: JailFabric
    private let limits: [JailPlan.Limit]
    private let dropsCapabilities: Bool
    private let directory: Descriptor
    private let request: JailRequest
    private let needsBroker: Bool

    /// A command that runs.
    package struct Started: ~Copyable {
        package let pid: Int32
        /// Decides about the command's sockets; nil if no rule asks for that, or the command has failed already.
        package let broker: Broker?
        /// Why there is no broker though a rule asks for one: the command must be ended.
        package let problem: SystemError?

        fileprivate init(pid: Int32, broker: Broker? = nil, problem: SystemError? = nil) {
            self.pid = pid
            self.broker = broker
            self.problem = problem
        }

        /// One whose calls come by `listener`. The program runs already: nothing is thrown any more.
        fileprivate init(pid: Int32, _ request: JailRequest, listener: consuming Descriptor) {
            do throws(SystemError) {
                self.init(pid: pid, broker: try Broker(request, listener: listener))
            } catch {
                self.init(pid: pid, problem: error)
            }
        }
    }

    /// Opens and assembles all that `plan` and `request` name. A `fabric` that was made ahead is used only if one that is
    /// made now would be the same.
    ///
    /// - Throws: `JailFailure`; nothing has been started.
    package init(
        _ request: JailRequest, _ plan: JailPlan, fabric: consuming JailFabric? = nil
    ) throws(JailFailure) {
        let fabric = if let fabric, fabric.fits(plan) { fabric } else { try JailFabric(plan) }
        let directory = try openWorkingDirectory(request)
        self.request = request
        self.fabric = fabric
        self.directory = directory
        limits = plan.limits
        dropsCapabilities = plan.dropsCapabilities
        needsBroker = plan.needsBroker
    }

    /// Gives the command to the child that was made ahead, which then puts nothing on any more.
    ///
    /// - Returns: nil if there is none that can take it; nothing has been started then.
    package mutating func startAhead() -> Started? {
        // Taken in any case: one that is not used ends here.
        guard let child = fabric.takeChild(), request.terminalDescriptor == nil,
            let given = child.take(request, in: directory.number)
        else { return nil }
        // While the child executes its program.
        return Started(pid: given.pid, request, listener: given.takeListener())
    }

    /// Forks the command's process. The child puts the jail on and executes the program; nothing of the caller's memory
    /// is touched after the fork but what is prepared here.
    ///
    /// - Throws: `JailFailure` if there can be no new process; nothing has been started then.
    package borrowing func start() throws(JailFailure) -> Started {
        guard needsBroker else { return Started(pid: try fork(broker: -1)) }
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, SocketType.stream | SocketType.closeOnExec, 0, &ends) == 0 else {
            throw JailFailure(.descriptors, SystemError.last("socketpair"), "too many files are open")
        }
        let ours = Descriptor(adopting: ends[0])
        let pid: Int32
        do {
            let theirs = Descriptor(adopting: ends[1])
            pid = try fork(broker: theirs.number)
        }
        // The child's last step before it executes its program; the end of the socket if it failed before.
        let listener = cbroker_take_descriptor(ours.number)
        guard listener >= 0 else { return Started(pid: pid) }
        return Started(pid: pid, request, listener: Descriptor(adopting: listener))
    }

    private borrowing func fork(broker: Int32) throws(JailFailure) -> Int32 {
        let limits = limits.map { cjail_limit(resource: $0.resource, soft: $0.soft, hard: $0.hard) }
        let instructions = fabric.filter.instructions
        let result = withCStrings(programCandidates(request)) { candidates in
            withCStrings(request.command) { arguments in
                withCStrings(request.environment) { environment in
                    limits.withUnsafeBufferPointer { limits in
                        instructions.withUnsafeBufferPointer { filter in
                            var child = cjail_child(
                                candidates: candidates, arguments: arguments, environment: environment,
                                directory: directory.number, ruleset: fabric.ruleset.descriptor.number,
                                failures: fabric.failures.writer.number, limits: limits.baseAddress,
                                limit_count: Int32(limits.count), filter: filter.baseAddress,
                                filter_count: Int32(filter.count), terminal: request.terminalDescriptor ?? -1,
                                drops_capabilities: dropsCapabilities ? 1 : 0, broker: broker)
                            return cjail_start(&child)
                        }
                    }
                }
            }
        }
        if result < 0 {
            throw JailFailure(
                .fork, SystemError("fork", code: -result),
                "the pod's or the node's limit of processes is reached (pids cgroup, ulimit -u)")
        }
        return result
    }

    /// Why the child ended before its program ran; nil if the program did run. To be asked once the child has ended.
    package borrowing func failure() -> JailFailure? {
        var failure = cjail_failure()
        let size = MemoryLayout<cjail_failure>.size
        let count = withUnsafeMutableBytes(of: &failure) { buffer -> ReadOutcome? in
            do throws(SystemError) { return try readSome(fabric.failures.reader.number, into: buffer) } catch {
                return nil
            }
        }
        guard case .bytes(size) = count else { return nil }
        let error = { (call: String) in SystemError(call, code: failure.code) }
        switch UInt32(failure.stage) {
        case CJAIL_STAGE_SESSION.rawValue:
            return JailFailure(.session, error("setsid or prctl"), "please report this")
        case CJAIL_STAGE_TERMINAL.rawValue:
            return JailFailure(
                .session, error("ioctl(TIOCSCTTY)"),
                "--terminal-fd must be a terminal that no other session has as its controlling one")
        case CJAIL_STAGE_LIMITS.rawValue:
            return JailFailure(.limits, error("setrlimit"), "please report this")
        case CJAIL_STAGE_DIRECTORY.rawValue:
            return JailFailure(.directory, error("fchdir"), "the folder must be searchable by this user")
        case CJAIL_STAGE_PRIVILEGES.rawValue:
            return JailFailure(.privileges, error("prctl(PR_SET_NO_NEW_PRIVS) or capset"), "please report this")
        case CJAIL_STAGE_LANDLOCK.rawValue:
            return JailFailure(
                .landlock, error("landlock_restrict_self"),
                "at most 16 domains lie within each other; the container's seccomp profile must allow landlock_*")
        case CJAIL_STAGE_SECCOMP.rawValue:
            return JailFailure(
                .seccomp, error("seccomp"),
                failure.code == EBUSY
                    ? "another filter around this container has a listener, and the kernel allows one: run it without"
                        + " a seccomp agent (listenerPath), and not in another jail"
                    : "the kernel needs CONFIG_SECCOMP_FILTER, and the container's profile must allow filters")
        case CJAIL_STAGE_DESCRIPTORS.rawValue:
            return JailFailure(.descriptors, error("close_range"), "Linux 5.11 or newer is needed")
        default:
            return executionFailure(failure.code)
        }
    }

    private borrowing func executionFailure(_ code: Int32) -> JailFailure {
        let program = request.command.first ?? ""
        let reason = SystemError(program, code: code)
        switch code {
        case ENOENT where isPath(program), ENOTDIR where isPath(program):
            return JailFailure(.execute, reason, "the file, or the interpreter in its first line, is not there")
        case ENOENT, ENOTDIR:
            return JailFailure(
                .execute, code: code,
                "\(program): not found in PATH (\(searchPath(request))): install it or correct PATH")
        case EACCES:
            return JailFailure(
                .execute, reason, "make it executable (chmod +x); it must lie where the jail grants execution")
        case ENOEXEC:
            return JailFailure(.execute, reason, "it needs a first line such as #!/bin/sh, or this machine's format")
        case E2BIG:
            return JailFailure(.execute, reason, "pass the data by a file or by standard input instead")
        default:
            return JailFailure(.execute, reason, "the program cannot be executed")
        }
    }
}
