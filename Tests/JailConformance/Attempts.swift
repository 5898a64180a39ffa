import CLinux
import Contracts

/// What the rules forbid: at least one attempt for each. All but those for root succeed for any user on a kernel that
/// has what they try; on a machine whose own filter refuses them (most containers) they cannot show anything.
package let attempts: [Attempt] =
    fileAttempts + scopeAttempts + networkAttempts + processAttempts + namespaceAttempts + kernelAttempts + [
        // SHM_STAT_ANY, SEM_STAT_ANY, MSG_STAT_ANY: an object by its place in the kernel's table.
        Attempt("shared memory", reach: "shmctl by index", CJAIL_SHMCTL, "0, 15, 0"),
        Attempt("shared memory", reach: "semctl by index", CJAIL_SEMCTL, "0, 0, 20, 0"),
        Attempt("shared memory", reach: "msgctl by index", CJAIL_MSGCTL, "0, 13, 0"),
        Attempt("shared memory", reach: "mq_open", CJAIL_MQ_OPEN, "0, 0, 0, 0"),
        // /dev/null is no terminal: the kernel says ENOTTY, the filter EPERM.
        Attempt(
            "terminal", "push a character into a terminal", "reach(\(CJAIL_IOCTL), os.open('/dev/null', 0), 0x5412, 0)"),
        Attempt(
            "terminal", "push a character with the command's upper half set",
            "reach(\(CJAIL_IOCTL), os.open('/dev/null', 0), 0x100005412, 0)"),
        Attempt("terminal", "reach TIOCLINUX", "reach(\(CJAIL_IOCTL), os.open('/dev/null', 0), 0x541c, 0)"),
        Attempt(
            "limits", "make a file of 17 GiB",
            "file = os.open('big', os.O_CREAT | os.O_WRONLY)\nos.unlink('big')\nos.ftruncate(file, 17 << 30)"),
        Attempt(
            "limits", "allow core dumps again",
            "try: resource.setrlimit(resource.RLIMIT_CORE, (1, 1))\nexcept ValueError as error: raise OSError(error)"),
        Attempt("privileges", "give a file away", needsRoot: true, "open('mine', 'w')\nos.chown('mine', 1, 1)"),
    ]

private let fileAttempts = [
    Attempt("files", "read a file beside the project", "open(outside + '/secret').read()"),
    Attempt("files", "list a folder beside the project", "os.listdir(outside)"),
    Attempt("files", "make a file beside the project", "open(outside + '/new', 'w')"),
    Attempt("files", "make a folder beside the project", "os.mkdir(outside + '/new-folder-' + str(os.getpid()))"),
    Attempt("files", "cut a file beside the project", "os.truncate(outside + '/secret', 3)"),
    Attempt(
        "files", "remove a file beside the project",
        "os.symlink('nowhere', outside + '/gone') if not os.path.islink(outside + '/gone') else None\n"
            + "os.unlink(outside + '/gone')"),
    Attempt("files", "link a file into the project", "os.link(outside + '/secret', 'linked-' + str(os.getpid()))"),
    Attempt(
        "files", "follow a link out of the project",
        "link = 'link-' + str(os.getpid())\nos.symlink(outside + '/secret', link)\nopen(link).read()"),
    Attempt("files", "list the root", "os.listdir('/')"),
    Attempt("files", "write to the project while planning", profile: .strategic, "open('plan', 'w')"),
]

private let scopeAttempts = [
    Attempt("scope", "signal a process outside", "os.kill(victim, 0)"),
    Attempt("scope", "signal a process outside by pidfd", "signal.pidfd_send_signal(os.pidfd_open(victim), 0)"),
    Attempt(
        "scope", "connect to an abstract socket outside", alsoHeldBy: ["network"],
        "socket.socket(socket.AF_UNIX).connect('\\0' + name)"),
]

private let networkAttempts = [
    Attempt("network", "connect by TCP", "socket.create_connection(('127.0.0.1', port))"),
    Attempt(
        "network", "connect to an abstract socket", alsoHeldBy: ["scope"],
        "socket.socket(socket.AF_UNIX).connect('\\0' + name)"),
    Attempt("network", "listen without an address", "socket.socket().listen()"),
    Attempt(
        "network", "send a Unix datagram", alsoHeldBy: ["scope"],
        "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', '\\0' + name + '-datagrams')"),
    Attempt(
        "network", "send a Unix datagram by the descriptor of another number", alsoHeldBy: ["scope"],
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).dup()\ns.sendto(b'x', '\\0' + name + '-datagrams')"),
    // Refused for its flags, before it looks for the program: EFAULT otherwise.
    Attempt("network", reach: "seccomp with a listener of its own", CJAIL_SECCOMP, "1, 8, 0"),
    Attempt("network", "bind a TCP port", "socket.socket().bind(('127.0.0.1', 0))"),
    Attempt("network", "connect by TCP fast open", "socket.socket().sendto(b'x', 0x20000000, ('127.0.0.1', port))"),
    Attempt(
        "network", "connect by TCP fast open with sendmsg",
        "socket.socket().sendmsg([b'x'], [], 0x20000000, ('127.0.0.1', port))"),
    Attempt("network", reach: "sendmmsg with fast open", CJAIL_SENDMMSG, "-1, 0, 0, 0x20000000"),
    Attempt("network", "send by UDP", "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', port))"),
    Attempt(
        "network", "send by UDP by the descriptor of another number",
        "socket.socket(type=socket.SOCK_DGRAM).dup().sendto(b'x', ('127.0.0.1', port))"),
    Attempt(
        "network", "send by a connected UDP socket",
        "s = socket.socket(type=socket.SOCK_DGRAM)\ns.connect(('127.0.0.1', port))\nos.writev(s.fileno(), [b'x'])"),
    Attempt(
        "network", "join a multicast group",
        "s = socket.socket(type=socket.SOCK_DGRAM)\n"
            + "s.setsockopt(0, 35, socket.inet_aton('224.1.2.3') + socket.inet_aton('127.0.0.1'))"),
    Attempt("network", reach: "binding a socket to a device", CJAIL_SETSOCKOPT, "-1, 1, 25, 0, 0"),
    Attempt("network", reach: "binding a socket to a device by its number", CJAIL_SETSOCKOPT, "-1, 1, 62, 0, 0"),
    Attempt("network", reach: "joining a multicast group of IPv6", CJAIL_SETSOCKOPT, "-1, 41, 20, 0, 0"),
    Attempt("network", "open an MPTCP socket", "reach(\(CJAIL_SOCKET), 2, 1, 262)"),
    Attempt("network", "open an SMC socket", "reach(\(CJAIL_SOCKET), 43, 1, 0)"),
    Attempt("network", "open a vsock socket", "reach(\(CJAIL_SOCKET), 40, 1, 0)"),
    Attempt("network", "hear of devices by netlink", "reach(\(CJAIL_SOCKET), 16, 3, 15)"),
    Attempt("network", "ask for sockets by netlink", "reach(\(CJAIL_SOCKET), 16, 3, 4)"),
    Attempt("network", "open a socket with a family's upper half set", "reach(\(CJAIL_SOCKET), 0x100000010, 3, 15)"),
    Attempt("network", "pair sockets of another family", "reach(\(CJAIL_SOCKETPAIR), 30, 1, 0, 0)"),
]

private let processAttempts = [
    // PR_SET_DUMPABLE, then PR_GET_DUMPABLE.
    Attempt(
        "processes", "close itself to the broker",
        "libc.prctl(4, 0, 0, 0, 0)\nif libc.prctl(3, 0, 0, 0, 0) == 1: raise PermissionError(1, 'it did nothing')"),
    Attempt("processes", reach: "process_madvise", CJAIL_PROCESS_MADVISE, "-1, 0, 0, 0, 0"),
    Attempt("processes", reach: "kcmp", CJAIL_KCMP, "os.getpid(), os.getpid(), 0, 0, 0"),
    Attempt("processes", reach: "pidfd_getfd", CJAIL_PIDFD_GETFD, "-1, 0, 0"),
    Attempt("processes", "see another's limits", "call(\(CJAIL_PRLIMIT64), victim, 7, 0, 0)"),
    Attempt("processes", "set another's priority", "call(\(CJAIL_SETPRIORITY), 0, victim, 19)"),
    Attempt("processes", "set the priority of all processes of a user", "reach(\(CJAIL_SETPRIORITY), 2, 54321, 0)"),
    Attempt("processes", "set another's processors", "reach(\(CJAIL_SCHED_SETAFFINITY), victim, 0, 0)"),
    Attempt("processes", "set another's scheduler", "reach(\(CJAIL_SCHED_SETSCHEDULER), victim, 0, 0)"),
    Attempt("processes", "set another's scheduling parameter", "reach(\(CJAIL_SCHED_SETPARAM), victim, 0)"),
    Attempt("processes", "set another's scheduling attributes", "reach(\(CJAIL_SCHED_SETATTR), victim, 0, 0)"),
    Attempt("processes", "set another's I/O priority", "reach(\(CJAIL_IOPRIO_SET), 1, victim, 0x6007)"),
]

private let namespaceAttempts = [
    Attempt("namespaces", "enter a new user namespace", "call(\(CJAIL_UNSHARE), 0x10000000)"),
    // The kernel refuses this pair of flags with EINVAL: nothing is cloned.
    Attempt("namespaces", "clone into a new user namespace", "reach(\(CJAIL_CLONE), 0x10000200, 0, 0, 0, 0)"),
    Attempt("namespaces", reach: "clone3", CJAIL_CLONE3, "0, 0"),
    Attempt("namespaces", reach: "setns", CJAIL_SETNS, "-1, 0"),
    Attempt("namespaces", reach: "mount", CJAIL_MOUNT, "0, 0, 0, 0, 0"),
    Attempt("namespaces", reach: "umount2", CJAIL_UMOUNT2, "0, 0"),
    Attempt("namespaces", reach: "chroot", CJAIL_CHROOT, "0"),
    Attempt("namespaces", reach: "open_tree", CJAIL_OPEN_TREE, "-1, 0, 0"),
]

private let kernelAttempts = [
    Attempt("kernel", reach: "io_uring_setup", CJAIL_IO_URING_SETUP, "1, 0"),
    Attempt("kernel", reach: "keyctl", CJAIL_KEYCTL, "0, -3, 0"),
    Attempt("kernel", reach: "add_key", CJAIL_ADD_KEY, "0, 0, 0, 0, 0"),
    Attempt("kernel", reach: "request_key", CJAIL_REQUEST_KEY, "0, 0, 0, 0"),
    // UFFD_USER_MODE_ONLY, which needs no privilege.
    Attempt("kernel", reach: "userfaultfd", CJAIL_USERFAULTFD, "1"),
    Attempt("kernel", reach: "perf_event_open", CJAIL_PERF_EVENT_OPEN, "0, 0, 0, 0, 0"),
    // FAN_REPORT_FID, with which it needs no privilege.
    Attempt("kernel", reach: "fanotify_init", CJAIL_FANOTIFY_INIT, "0x200, 0"),
    Attempt("kernel", reach: "quotactl_fd", CJAIL_QUOTACTL_FD, "-1, 0, 0, 0"),
]
