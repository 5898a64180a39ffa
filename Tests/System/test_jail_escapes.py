"""What a jailed command cannot do.

Each escape is tried without the jail first: an attempt that fails anyway proves nothing."""
import pathlib
import signal
import socket
import subprocess

import pytest

from jailed import python

# MARK: Escapes. A script ends with 0 if it got what it wanted.

def legacy_tiocsti():
    try:
        return pathlib.Path("/proc/sys/dev/tty/legacy_tiocsti").read_text().strip() == "1"
    except OSError:
        return True


PUSH = """
import fcntl, os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    try: fcntl.ioctl(0, 0x5412, b"x")
    except OSError: os._exit(1)
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""

ESCAPES = {
    "read a file beside the project": "cat $OUTSIDE/secret",
    "list the folder beside the project": "ls $OUTSIDE",
    "write a file beside the project": "echo x > $OUTSIDE/new",
    "append to a file beside the project": "echo x >> $OUTSIDE/secret",
    "cut a file beside the project": "truncate -s 1 $OUTSIDE/secret",
    "move a file into the project": "mv $OUTSIDE/secret moved",
    "remove a file beside the project": "rm -f $OUTSIDE/secret && ! [ -e $OUTSIDE/secret ]",
    "follow a link out of the project": "ln -sf $OUTSIDE/secret link && cat link",
    "hard-link a file into the project": "ln $OUTSIDE/secret link",
    "go out by ..": "cat ../checkpoints/secret",
    "execute a program beside the project": "cp /bin/true $TMPDIR && ../bin/agent-jail 2>/dev/null; [ $? = 125 ]",
    "write to /tmp": "f=$(mktemp -p /tmp) && rm $f",
    "read another process's environment": "grep -q hunter2 /proc/$VICTIM/environ",
    "read another process's memory": "head -c 0 /proc/$VICTIM/mem",
    "see another process's descriptors": "readlink /proc/$VICTIM/fd/0",
    "enter another process's root": "ls /proc/$VICTIM/root/etc",
    "signal another process": "kill -0 $VICTIM",
    "stop another process": "kill -STOP $VICTIM && kill -CONT $VICTIM",
    "connect by TCP": python("import os, socket; socket.create_connection((\"127.0.0.1\", int(os.environ[\"PORT\"])))"),
    "connect by bash": "echo > /dev/tcp/127.0.0.1/$PORT",
    "bind a TCP port": python("import socket; socket.create_server((\"127.0.0.1\", 0))"),
    "send by UDP": python("import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b\"x\", (\"127.0.0.1\", 9))"),
    "open an MPTCP socket": python("import socket; socket.socket(proto=262)"),
    "connect to an abstract socket": python(
        "import os, socket; socket.socket(socket.AF_UNIX).connect(\"\\0\" + os.environ[\"ABSTRACT\"])"),
    "push input into a terminal": python(PUSH),
    "raise its core limit": "ulimit -c 100",
    "make a new user namespace": "unshare -U true",
    "trace a process": python(
        "import ctypes, sys; sys.exit(ctypes.CDLL(None).ptrace(0, 0, None, None))"),
    "change another's priority": "renice -n 19 -p $VICTIM",
    "change another's limits": "prlimit --pid $VICTIM --nofile=512:512",
    "make System V shared memory": "id=$(ipcmk -M 4096) && ipcrm -m ${id##* }",
}

LISTENER = """
import os, socket, sys
tcp = socket.create_server(("127.0.0.1", 0), backlog=64)
abstract = socket.socket(socket.AF_UNIX)
abstract.bind("\\0" + sys.argv[1])
abstract.listen(64)
# Without capabilities, as in a pod: the kernel would protect a process that has some from one that has none.
import ctypes
ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())
print(tcp.getsockname()[1], flush=True)
os.read(sys.stdin.fileno(), 1) or __import__("time").sleep(100000)
"""


@pytest.fixture
def outsider(workspace):
    """A process outside: to be signalled, read, and connected to. Gives what a script needs to find it."""
    name = str(workspace.root)
    process = workspace.background(["/usr/bin/python3", "-c", LISTENER, name], stdout=subprocess.PIPE, text=True)
    port = process.stdout.readline().strip()
    process.facts = f"export VICTIM={process.pid} PORT={port} ABSTRACT={name}\n"
    process.port = int(port)
    return process


@pytest.mark.parametrize("escape", ESCAPES)
def test_an_escape_works_without_the_jail_and_not_within(workspace, outsider, escape):
    if escape == "push input into a terminal" and not legacy_tiocsti():
        pytest.skip("this kernel refuses TIOCSTI to everyone (dev.tty.legacy_tiocsti=0)")
    # In the jail first: the bare one may take away what is there to be had.
    jailed = workspace.run(outsider.facts + ESCAPES[escape])
    assert jailed.code not in (0, 125), jailed
    assert jailed.report["exited"] == str(jailed.code)
    assert (workspace.outside / "secret").read_text() == "hunter2"
    bare = workspace.bare(outsider.facts + ESCAPES[escape])
    assert bare.code == 0, bare


def test_kill_9_to_all_harms_only_the_command_itself(workspace, outsider):
    done = workspace.run("sleep 1000 & kill -9 -1; wait; echo still here")
    assert done.out == "still here\n"
    assert done.code == 0
    assert outsider.poll() is None


def test_the_janitor_cannot_be_signalled_traced_or_read(workspace):
    # The command's parent is the janitor.
    done = workspace.run("kill -9 $PPID; kill -STOP $PPID; cat /proc/$PPID/environ /proc/$PPID/maps; exit 5")
    assert done.code == 5
    assert done.out == ""
    assert done.report["exited"] == "5"


def test_a_process_of_the_same_user_cannot_read_the_janitor_either(workspace):
    if workspace.uid == 0:
        pytest.skip("root may read everything")
    process = workspace.start("echo ready; sleep 1000")
    assert process.stdout.readline() == "ready\n"
    assert workspace.bare(f"cat /proc/{process.pid}/environ").code != 0
    assert workspace.bare(f"ls /proc/{process.pid}/fd").code != 0
    assert workspace.bare("cat /proc/self/environ").code == 0
    process.send_signal(signal.SIGTERM)
    workspace.finish(process)


def test_no_capability_and_no_way_to_one(workspace):
    done = workspace.run("grep -E 'Cap(Inh|Prm|Eff|Amb)|NoNewPrivs' /proc/self/status")
    values = dict(line.split(":\t") for line in done.out.splitlines())
    assert values.pop("NoNewPrivs") == "1"
    assert {int(value, 16) for value in values.values()} == {0}
