import Glibc
import LinuxSystem

extension Doctor {
    /// What the jail is made of: Landlock, level by level, and seccomp.
    func lookAtKernel() -> [Finding] {
        var system = utsname()
        _ = uname(&system)
        let release = withUnsafeBytes(of: system.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return [Finding("kernel", "release", .note, "Linux \(release)")] + landlock() + [
            promise(
                "seccomp filter", .filter, "installed and took effect",
                remedy: "a kernel with CONFIG_SECCOMP_FILTER, and a container profile that allows seccomp(2)",
                open: "sockets other than TCP, namespaces, io_uring, keyrings, limits of other processes"),
            promise(
                "seccomp listener", .listener, "works: connections are decided by address",
                remedy: "a container profile that allows seccomp(2) with SECCOMP_FILTER_FLAG_NEW_LISTENER; no seccomp "
                    + "agent (listenerPath) around the container, which would take the one listener there can be",
                open: "anything about the network: no command is run at all"),
            promise(
                "no_new_privs", .noNewPrivileges, "set", remedy: "let the seccomp profile allow prctl(2)",
                open: "gain of privilege by setuid programs"),
        ]
    }

    /// A trial on which a promise of the jail rests.
    private func promise(
        _ name: String, _ trial: KernelTrial, _ success: String, remedy: String, open: String
    ) -> Finding {
        guard let error = trial.run() else { return Finding("kernel", name, .good, success) }
        let text =
            error.code == ENOTSUP ? "the kernel said yes and did not do it" : "not to be had: \(error.reason)"
        return Finding("kernel", name, .bad, text, remedy: remedy, open: open)
    }

    private static let landlockRemedy =
        "a node with Linux 6.12 or newer and \"landlock\" in lsm=, a runtime class that has Landlock (gVisor has none), and "
        + "a container seccomp profile that allows landlock_*, as RuntimeDefault does"

    private func landlock() -> [Finding] {
        let abi: Int32
        do throws(SystemError) {
            abi = try KernelTrial.landlockABI()
        } catch {
            let why =
                switch error.code {
                case ENOSYS: "this kernel, or the container's filter, has no Landlock (ENOSYS)"
                case EOPNOTSUPP: "Landlock is not enabled on this node: add \"landlock\" to lsm= of the kernel"
                default: "landlock_create_ruleset is refused: \(error.reason)"
                }
            return [
                Finding(
                    "kernel", "Landlock", .bad, why, remedy: Self.landlockRemedy,
                    open: "anything about files, ports, signals and other processes: no command is run at all")
            ]
        }
        var result = [
            Finding("kernel", "Landlock", abi >= 6 ? .good : .bad, "ABI \(abi)", remedy: Self.landlockRemedy)
        ]
        for (level, name, trial, open) in [
            (1, "files", .files, "reading and writing outside the project tree"),
            (2, "rename between folders", .refer, "linking and renaming across the granted folders"),
            (3, "truncate", .truncate, "cutting files that cannot be written"),
            (4, "TCP ports", .tcp, "TCP connections and servers"),
            (5, "device ioctl", .deviceControl, "ioctl on devices outside"),
            (6, "signal scope", .signals, "signals to the agent and to other commands"),
        ] as [(Int32, String, KernelTrial, String)] {
            result.append(
                promise(
                    name, trial, "enforced (Landlock ABI \(level))", remedy: Self.landlockRemedy, open: open))
        }
        let hasPaths = KernelTrial.socketPaths.run() == nil
        result.append(
            Finding(
                "kernel", "socket paths", hasPaths ? .good : .note,
                hasPaths
                    ? "enforced (Landlock ABI 9, and the connect broker)"
                    : "by the connect broker alone (Landlock knows them from ABI 9 on)"))
        return result
    }
}
