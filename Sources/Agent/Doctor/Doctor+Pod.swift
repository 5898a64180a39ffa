import Contracts
import Glibc
import LinuxSystem

extension Doctor {
    /// What this pod, or host, is for us: user, privileges, root, /proc, memory, clock.
    func lookAtPod() -> [Finding] {
        [user(), capabilities(), privileges(), containerFilter(), root(), proc(), namespaces()] + memory() + [clock()]
    }

    private func user() -> Finding {
        guard getuid() == 0 else { return Finding("pod", "user", .good, "UID \(getuid()), GID \(getgid())") }
        return Finding(
            "pod", "user", .weak, "UID 0: the agent runs as root", remedy: "runAsNonRoot: true, runAsUser: 1000",
            open: "the file modes of the pod: root passes them. The jail's rules hold for root too")
    }

    private func capabilities() -> Finding {
        guard let text = processStatus("CapEff"), let set = UInt64(text, radix: 16) else {
            return Finding("pod", "capabilities", .note, "unknown: /proc/self/status cannot be read")
        }
        if set == 0 { return Finding("pod", "capabilities", .good, "none") }
        return Finding(
            "pod", "capabilities", .weak, "\(set.nonzeroBitCount) effective; commands get none of them",
            remedy: "securityContext.capabilities.drop: [ALL]")
    }

    private func privileges() -> Finding {
        if processStatus("NoNewPrivs") == "1" { return Finding("pod", "escalation", .good, "no_new_privs is set") }
        return Finding(
            "pod", "escalation", .note, "possible for us; commands always get no_new_privs",
            remedy: "allowPrivilegeEscalation: false")
    }

    private func containerFilter() -> Finding {
        switch processStatus("Seccomp") {
        case "2": Finding("pod", "seccomp profile", .good, "the container has a filter")
        case nil: Finding("pod", "seccomp profile", .note, "unknown: /proc/self/status cannot be read")
        default:
            Finding(
                "pod", "seccomp profile", .note, "none; commands have the jail's own filter all the same",
                remedy: "seccompProfile.type: RuntimeDefault")
        }
    }

    private func root() -> Finding {
        // By trying: a name that nobody has, gone at once.
        let path = "/.agent-init-doctor-\(getpid())"
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        if file < 0 {
            let reason = errno == EROFS ? "read-only" : "not writable for us (\(SystemError.last("open").reason))"
            return Finding("pod", "root folder", .good, reason)
        }
        close(file)
        unlink(path)
        return Finding(
            "pod", "root folder", .note, "writable for us; read-only for commands",
            remedy: "readOnlyRootFilesystem: true")
    }

    private func proc() -> Finding {
        guard let bytes = try? readFile("/proc/self/mounts", limit: 1 << 20) else {
            return Finding(
                "pod", "/proc", .bad, "not mounted: agentd cannot find agent-jail beside it",
                remedy: "mount /proc, as every container runtime does")
        }
        let mounts = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map { $0.split(separator: " ") }
        let options = mounts.first { $0.count > 3 && $0[1] == "/proc" }?[3] ?? ""
        let hiding = options.split(separator: ",").first { $0.hasPrefix("hidepid=") } ?? "hidepid=0"
        let hides = !["hidepid=0", "hidepid=off"].contains(hiding)
        return Finding("pod", "/proc", .note, "mounted, \(hiding)\(hides ? "" : ": processes of other users are seen")")
    }

    private func namespaces() -> Finding {
        guard let error = KernelTrial.userNamespace.run() else {
            return Finding("pod", "user namespaces", .note, "can be made here; commands cannot")
        }
        return Finding("pod", "user namespaces", .note, "refused (\(error.reason)); not needed")
    }

    private func memory() -> [Finding] {
        guard let cgroup = MemoryCgroup() else {
            return [
                Finding(
                    "pod", "memory limit", .weak, "no memory cgroup can be read",
                    remedy: "a runtime that mounts /sys/fs/cgroup, as all do",
                    open: "ending a command before the pod's memory limit is reached")
            ]
        }
        let version = "cgroup v\(cgroup.version.rawValue)"
        guard let limit = cgroup.limit else {
            return [
                Finding(
                    "pod", "memory limit", .weak, "none (\(version))", remedy: "set resources.limits.memory",
                    open: "a bound to the memory of the pod: a command can use up the node's")
            ]
        }
        let used = cgroup.current.map { ", \($0 >> 20) MiB used" } ?? ""
        return [Finding("pod", "memory limit", .good, "\(limit >> 20) MiB (\(version))\(used)")]
    }

    private func clock() -> Finding {
        // 2025 and 2100, in milliseconds: before this program was written, or so far on that a bit must have tipped.
        guard (1_735_689_600_000...4_102_444_800_000).contains(Clock.wall) else {
            return Finding(
                "pod", "clock", .bad, "stands at \(Clock.wall / 1000) s since 1970",
                remedy: "set the node's clock (NTP)",
                exit: .configuration)
        }
        return Finding("pod", "clock", .good, "plausible")
    }
}
