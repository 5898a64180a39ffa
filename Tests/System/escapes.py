"""Ways out of the jail, as small programs: each ends with 0 if it got what it wanted.

In the environment: OUTSIDE, a folder beside the project with a file `secret`; VICTIM, a process of the same user; PORT,
ABSTRACT and SOCKET, where it listens.
"""

import ctypes
import errno
import pathlib

from jailed import python


def legacy_tiocsti():
    try:
        return pathlib.Path("/proc/sys/dev/tty/legacy_tiocsti").read_text().strip() == "1"
    except OSError:
        return True


FILE_SETATTR = 469


def is_open(number):
    """Whether the kernel has this system call, and lets us make it: its arguments are wrong here, on purpose."""
    return ctypes.CDLL(None, use_errno=True).syscall(number, -1, 0, 0, 0, 0) >= 0 or ctypes.get_errno() not in (
        errno.ENOSYS, errno.EPERM)


def bare_needs(escape):
    """Why this escape cannot be shown on this machine, empty if it can."""
    if escape == "change the flags of a file beside the project" and not is_open(FILE_SETATTR):
        return "this kernel has no file_setattr (Linux 6.17), or a filter refuses it to everyone"
    if escape == "push input into a terminal" and not legacy_tiocsti():
        return "this kernel refuses TIOCSTI to everyone (dev.tty.legacy_tiocsti=0)"
    return ""


LISTENER = """
import os, socket, sys
tcp = socket.create_server(("127.0.0.1", 0), backlog=64)
abstract = socket.socket(socket.AF_UNIX)
abstract.bind("\\0" + sys.argv[1])
abstract.listen(64)
path = socket.socket(socket.AF_UNIX)
path.bind(sys.argv[1] + "/socket")
path.listen(64)
datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
datagrams.bind(sys.argv[1] + "/datagrams")
udp = socket.socket(type=socket.SOCK_DGRAM)
udp.bind(tcp.getsockname())
# Without capabilities, as in a pod: the kernel would protect a process that has some from one that has none.
import ctypes
ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())
print(tcp.getsockname()[1], flush=True)
os.read(sys.stdin.fileno(), 1) or __import__("time").sleep(100000)
"""

PUSH = """
import fcntl, os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    try: fcntl.ioctl(0, 0x5412, b"x")
    except OSError: os._exit(1)
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def call(number, *arguments):
    """A system call of x86-64 by its number, that must succeed."""
    words = ", ".join(f"ctypes.c_long({one})" for one in arguments)
    return python(
        f"import ctypes, os, sys; victim = int(os.environ['VICTIM']); "
        f"sys.exit(ctypes.CDLL(None).syscall({number}, {words}) < 0)")


FILES = {
    "read a file beside the project": "cat $OUTSIDE/secret",
    "list the folder beside the project": "ls $OUTSIDE",
    "write a file beside the project": "echo x > $OUTSIDE/new",
    "append to a file beside the project": "echo x >> $OUTSIDE/secret",
    "cut a file beside the project": "truncate -s 1 $OUTSIDE/secret",
    "move a file into the project": "mv $OUTSIDE/secret moved",
    "remove a file beside the project": "rm -f $OUTSIDE/secret && ! [ -e $OUTSIDE/secret ]",
    "rename a file beside the project": "mv $OUTSIDE/secret $OUTSIDE/other",
    "make a folder beside the project": "mkdir $OUTSIDE/folder",
    "make a link beside the project": "ln -s target $OUTSIDE/link",
    "make a pipe beside the project": "mkfifo $OUTSIDE/pipe",
    "make a nameless file beside the project": python(
        "import os; os.open(os.environ[\"OUTSIDE\"], os.O_TMPFILE | os.O_RDWR, 0o600)"),
    "exchange a file with one beside the project": "echo x > mine && " + python(
        "import ctypes, os, sys; out = os.environ[\"OUTSIDE\"].encode() + b\"/secret\"; "
        "sys.exit(ctypes.CDLL(None).renameat2(-100, b\"mine\", -100, out, 2) < 0)"),
    "follow a link out of the project": "ln -sf $OUTSIDE/secret link && cat link",
    "follow a link in the middle of a path": "ln -sfn $OUTSIDE folder && cat folder/secret",
    "hard-link a file into the project": "ln $OUTSIDE/secret link",
    "hard-link a file into the home": "ln $OUTSIDE/secret $HOME/link",
    "go out by ..": "cat ../checkpoints/secret",
    "go out by the working directory in /proc": "cat /proc/self/cwd/../checkpoints/secret",
    "go out by the root in /proc": "cat /proc/self/root$OUTSIDE/secret",
    "go out by a descriptor of a folder": python(
        "import os; folder = os.open(\".\", os.O_PATH); "
        "os.read(os.open(\"../checkpoints/secret\", os.O_RDONLY, dir_fd=folder), 1)"),
    "open again what was opened for its path only": python(
        "import os; name = os.open(os.environ[\"OUTSIDE\"] + \"/secret\", os.O_PATH); "
        "open(\"/proc/self/fd/%d\" % name).read()"),
    "work in a folder beside the project": "cd $OUTSIDE && ls",
    "list the root": "ls /",
    "execute a program beside the project": "code=0; ../bin/agent-jail 2>/dev/null || code=$?; [ $code = 125 ]",
    "execute a program by a descriptor of its path": python(
        "import os, shutil; out = os.environ[\"OUTSIDE\"] + \"/secret\"\n"
        "try: os.chmod(out, 0o700)\n"
        "except OSError: pass\n"
        "try: os.execve(os.open(out, os.O_PATH), [\"x\"], {})\n"
        "except OSError as error: os._exit(error.errno != 8)"),
    # struct file_attr (linux/fs.h) with FS_XFLAG_NODUMP.
    "change the flags of a file beside the project": python(
        "import ctypes, os, struct, sys; out = os.environ[\"OUTSIDE\"].encode() + b\"/secret\"\n"
        "flags = ctypes.create_string_buffer(struct.pack(\"=QIIII\", 0x80, 0, 0, 0, 0), 24)\n"
        f"sys.exit(ctypes.CDLL(None).syscall({FILE_SETATTR}, -100, out, flags, 24, 0) < 0)"),
    # FAN_REPORT_FID, with which it needs no privilege; FAN_CREATE and FAN_MODIFY.
    "be told by fanotify what happens beside the project": python(
        "import ctypes, os, sys; library = ctypes.CDLL(None); queue = library.fanotify_init(0x200, 0)\n"
        "mask = ctypes.c_uint64(0x102)\n"
        "sys.exit(queue < 0 or library.fanotify_mark(queue, 1, mask, -100, os.environ[\"OUTSIDE\"].encode()) < 0)"),
    "write to /tmp": "f=$(mktemp -p /tmp) && rm $f",
}

PROCESSES = {
    "read another process's memory": "head -c 0 /proc/$VICTIM/mem",
    "read another process's memory map": "grep -q . /proc/$VICTIM/maps",
    "see another process's descriptors": "readlink /proc/$VICTIM/fd/0",
    "see another process's program": "readlink /proc/$VICTIM/exe",
    "see where another process works": "readlink /proc/$VICTIM/cwd",
    "enter another process's root": "ls /proc/$VICTIM/root/etc",
    "copy another process's memory": python(
        "import ctypes, os, sys; victim = int(os.environ[\"VICTIM\"])\n"
        "where = int(open(\"/proc/%d/stat\" % victim).read().rsplit(\")\", 1)[1].split()[25])\n"
        "class Part(ctypes.Structure): _fields_ = [(\"base\", ctypes.c_void_p), (\"size\", ctypes.c_size_t)]\n"
        "buffer = ctypes.create_string_buffer(8); here = Part(ctypes.addressof(buffer), 8); there = Part(where, 8)\n"
        "got = ctypes.CDLL(None).process_vm_readv(victim, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)\n"
        "sys.exit(got != 8)"),
    "signal another process": "kill -0 $VICTIM",
    "stop another process": "kill -STOP $VICTIM && kill -CONT $VICTIM",
    "signal another process by a descriptor": python(
        "import os, signal; signal.pidfd_send_signal(os.pidfd_open(int(os.environ[\"VICTIM\"])), 0)"),
    "signal another thread": call(234, "victim", "victim", "0"),
    "queue a signal to another process": python(
        "import ctypes, os, sys; victim = int(os.environ[\"VICTIM\"]); "
        "sys.exit(ctypes.CDLL(None).sigqueue(victim, 0, ctypes.c_void_p(0)) < 0)"),
    "take a descriptor of another process": python(
        "import ctypes, os, sys; one = os.pidfd_open(int(os.environ[\"VICTIM\"])); "
        "sys.exit(ctypes.CDLL(None).syscall(438, one, 0, 0) < 0)"),
    "attach to another process": call(101, "0x4206", "victim", "0", "0"),
    "write to another process's memory": python(
        "import ctypes, os, sys; victim = int(os.environ[\"VICTIM\"])\n"
        "where = int(open(\"/proc/%d/stat\" % victim).read().rsplit(\")\", 1)[1].split()[25])\n"
        "class Part(ctypes.Structure): _fields_ = [(\"base\", ctypes.c_void_p), (\"size\", ctypes.c_size_t)]\n"
        "buffer = ctypes.create_string_buffer(8); here = Part(ctypes.addressof(buffer), 8); there = Part(where, 8)\n"
        "library = ctypes.CDLL(None)\n"
        "library.process_vm_readv(victim, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)\n"
        "sys.exit(library.process_vm_writev(victim, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) != 8)"),
    "change another's priority": "renice -n 19 -p $VICTIM",
    "change another's processors": "taskset -p 1 $VICTIM",
    "change another's scheduling": "chrt --batch -p 0 $VICTIM",
    "change another's disk priority": "ionice -c 3 -p $VICTIM",
    "change another's limits": "prlimit --pid $VICTIM --nofile=512:512",
    "make the kernel prefer another to be killed": "echo 500 > /proc/$VICTIM/oom_score_adj",
    "change what another dumps": "echo 0 > /proc/$VICTIM/coredump_filter",
    "signal another process's group": "read -r _ _ _ _ group _ < /proc/$VICTIM/stat; [ $group != 1 ] && kill -0 -- -$group",
    "signal another thread by its number alone": call(200, "victim", "0"),
    "queue a signal to another thread": python(
        "import ctypes, os, struct, sys; victim = int(os.environ[\"VICTIM\"])\n"
        "words = ctypes.create_string_buffer(struct.pack(\"=iiii\", 0, 0, -1, 0) + bytes(112), 128)\n"
        "sys.exit(ctypes.CDLL(None).syscall(297, victim, victim, 0, words) < 0)"),
    "have the kernel signal another process": python(
        "import fcntl, os, sys, time; victim = int(os.environ[\"VICTIM\"]); reader, writer = os.pipe()\n"
        "fcntl.fcntl(reader, fcntl.F_SETOWN, victim); fcntl.fcntl(reader, 10, 19)  # F_SETSIG, SIGSTOP\n"
        "fcntl.fcntl(reader, fcntl.F_SETFL, os.O_ASYNC)\n"
        "state = lambda: open(\"/proc/%d/stat\" % victim).read().rsplit(\")\", 1)[1].split()[0]\n"
        "os.write(writer, b\"x\"); end = time.time() + 2\n"
        "while state() != \"T\" and time.time() < end: time.sleep(0.01)\n"
        "stopped = state() == \"T\"\n"
        "if stopped: os.kill(victim, 18)\n"
        "sys.exit(not stopped)"),
    "see where another thread keeps its locks": python(
        "import ctypes, os, sys; head, length = ctypes.c_void_p(), ctypes.c_size_t()\n"
        "sys.exit(ctypes.CDLL(None).syscall(274, int(os.environ[\"VICTIM\"]), ctypes.byref(head), ctypes.byref(length)) < 0)"),
    "see another's system call": "cat /proc/$VICTIM/syscall",
    "see another's input and output": "cat /proc/$VICTIM/io",
    "see how another was started": "head -c 16 /proc/$VICTIM/auxv | grep -qa .",
}

NETWORK = {
    "connect by TCP": python(
        "import os, socket; socket.create_connection((\"127.0.0.1\", int(os.environ[\"PORT\"])))"),
    "connect by TCP without waiting": python(
        "import os, select, socket; one = socket.socket(); one.setblocking(False); "
        "code = one.connect_ex((\"127.0.0.1\", int(os.environ[\"PORT\"]))); assert code in (0, 115), code; "
        "select.select([], [one], [], 5); assert one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0; one.getpeername()"),
    "connect by an IPv4 address in IPv6": python(
        "import os, socket; socket.create_connection((\"::ffff:127.0.0.1\", int(os.environ[\"PORT\"])))"),
    "connect with the first bytes": python(
        "import os, socket; socket.socket().sendto(b\"x\", 0x20000000, (\"127.0.0.1\", int(os.environ[\"PORT\"])))"),
    "connect by bash": "echo > /dev/tcp/127.0.0.1/$PORT",
    "bind a TCP port": python("import socket; socket.create_server((\"127.0.0.1\", 0))"),
    "listen without an address": python("import socket; socket.socket().listen()"),
    "send by UDP": python(
        "import os, socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b\"x\", (\"127.0.0.1\", int(os.environ[\"PORT\"])))"),
    "send by UDP from another number": python(
        "import os, socket; s = socket.socket(type=socket.SOCK_DGRAM).dup()\n"
        "s.sendto(b\"x\", (\"127.0.0.1\", int(os.environ[\"PORT\"])))"),
    "send by UDP from a file": python(
        "import os, socket; s = socket.socket(type=socket.SOCK_DGRAM); s.connect((\"127.0.0.1\", int(os.environ[\"PORT\"])))\n"
        "os.sendfile(s.fileno(), os.open(\"/etc/passwd\", 0), 0, 9)"),
    "send by UDP from a pipe": python(
        "import os, socket; s = socket.socket(type=socket.SOCK_DGRAM); s.connect((\"127.0.0.1\", int(os.environ[\"PORT\"])))\n"
        "a, b = os.pipe(); os.write(b, b\"x\"); os.splice(a, s.fileno(), 1)"),
    "send by UDP as a cork is drawn": python(
        "import os, socket; s = socket.socket(type=socket.SOCK_DGRAM); s.connect((\"127.0.0.1\", int(os.environ[\"PORT\"])))\n"
        "s.setsockopt(17, 1, 1); os.writev(s.fileno(), [b\"x\"]); s.setsockopt(17, 1, 0)"),
    "join a multicast group": python(
        "import socket; s = socket.socket(type=socket.SOCK_DGRAM)\n"
        "s.setsockopt(0, 35, socket.inet_aton(\"224.1.2.3\") + socket.inet_aton(\"127.0.0.1\"))"),
    "send a Unix datagram": python(
        "import os, socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "s.sendto(b\"x\", os.path.dirname(os.environ[\"SOCKET\"]) + \"/datagrams\")"),
    "send a Unix datagram from another number": python(
        "import os, socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).dup()\n"
        "s.sendto(b\"x\", os.path.dirname(os.environ[\"SOCKET\"]) + \"/datagrams\")"),
    "open an MPTCP socket": python("import socket; socket.socket(proto=262)"),
    "connect by a socket that another process has sent": python(
        "import os, socket; here, there = socket.socketpair()\n"
        "if os.fork() == 0:\n"
        "    made = socket.socket(); socket.send_fds(there, [b\"x\"], [made.fileno()]); os._exit(0)\n"
        "one = socket.socket(fileno=socket.recv_fds(here, 1, 1)[1][0]); os.wait()\n"
        "one.connect((\"127.0.0.1\", int(os.environ[\"PORT\"]))); one.getpeername()"),
    "connect to an abstract socket": python(
        "import os, socket; socket.socket(socket.AF_UNIX).connect(\"\\0\" + os.environ[\"ABSTRACT\"])"),
    "connect to a socket by its path": python(
        "import os, socket; socket.socket(socket.AF_UNIX).connect(os.environ[\"SOCKET\"])"),
    "connect to a socket through a link": "ln -sfn $SOCKET here && " + python(
        "import socket; socket.socket(socket.AF_UNIX).connect(\"here\")"),
    "send to a Unix datagram socket as to a peer": python(
        "import os, socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "s.connect(os.path.dirname(os.environ[\"SOCKET\"]) + \"/datagrams\"); s.send(b\"x\")"),
}

RESOURCES = {
    "raise its core limit": "ulimit -c 100",
    "make a file of 17 GiB": python("import os; one = open(\"big\", \"w\"); os.unlink(\"big\"); os.truncate(one.fileno(), 17 << 30)"),
    "make a new user namespace": "unshare -U true",
    "make a POSIX queue": python(
        "import ctypes, sys; library = ctypes.CDLL(None); name = b\"agent-escape-%d\" % __import__(\"os\").getpid(); "
        "queue = library.syscall(240, name, 0o102, 0o600, None); "
        "library.syscall(241, name); sys.exit(queue < 0)"),
    "keep a key in the kernel": python(
        "import ctypes, sys; sys.exit(ctypes.CDLL(None).syscall(248, b\"user\", b\"escape\", b\"x\", 1, -1) < 0)"),
}

SECRETS = {
    "read another process's environment": "grep -q hunter2 /proc/$VICTIM/environ",
    "search the workspace for the secret": "grep -rq hunter2 $OUTSIDE/..",
    "pack the folder with the secret": "tar -cf packed.tar -C $OUTSIDE . && tar -tf packed.tar | grep -q secret",
    "copy the folder with the secret": "rm -rf copied && cp -r $OUTSIDE copied && grep -q hunter2 copied/secret",
}

TERMINAL = {
    "push input into a terminal": python(PUSH),
}

GROUPS = {
    "files and links": FILES, "/proc and signals": PROCESSES, "network": NETWORK, "resources and lifetime": RESOURCES,
    "secrets": SECRETS, "terminal and ioctl": TERMINAL,
}
ESCAPES = {name: script for group in GROUPS.values() for name, script in group.items()}
