"""agent-jail as a program: what a command can and cannot do, and that nothing of it stays.

Each escape is tried without the jail first: an attempt that fails anyway proves nothing."""
import json
import os
import pathlib
import platform
import signal
import socket
import subprocess
import time
import uuid

import pytest

from jailed import HANGS, WITH_FILTER

# MARK: Escapes. A script ends with 0 if it got what it wanted.

PYTHON = "/usr/bin/python3 -c "


def python(code):
    return PYTHON + "'" + code.strip().replace("'", "'\\''") + "'"


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


def test_only_the_proxys_port_can_be_connected_to(workspace, outsider):
    connect = "exec 5<>/dev/tcp/127.0.0.1/{}"
    assert workspace.run(connect.format(outsider.port), proxy_port=outsider.port).code == 0
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert workspace.run(connect.format(port), proxy_port=outsider.port).code == 1
        assert workspace.bare(connect.format(port)).code == 0


# MARK: What stays, and how long it takes to go

DAEMONS = """
import os, signal, sys, time
for number in range(30):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(100000)
        os._exit(0)
for number in range(30): os.wait()
"""


def test_daemons_that_left_the_session_and_ignore_sigterm_are_dead_when_it_returns(workspace):
    marker = f"marker-{uuid.uuid4()}"
    done = workspace.run(f"/usr/bin/python3 -c '{DAEMONS}' {marker}")
    assert done.code == 0
    assert done.report["killed"] == "30"
    assert workspace.alive(marker) == []


def test_a_fork_bomb_is_dead_when_it_returns(workspace):
    marker = f"marker-{uuid.uuid4()}"
    # Each forks on as fast as it can, up to 2 to the 8th processes at once; all that is modest is the depth.
    bomb = "import os, signal, time\nsignal.signal(15, signal.SIG_IGN)\nfor depth in range(8): os.fork() or os.setsid()\ntime.sleep(100000)"
    done = workspace.run(f"/usr/bin/python3 -c '{bomb}' {marker}", timeout_ms=1500, grace_ms=0)
    assert done.code == 124
    assert int(done.report["killed"]) > 100
    assert workspace.alive(marker) == []


def test_a_process_that_made_itself_the_commands_sibling_is_dead_too(workspace):
    marker = f"marker-{uuid.uuid4()}"
    # clone with CLONE_PARENT: a child of the janitor itself.
    number = {"x86_64": 56, "aarch64": 220}[platform.machine()]
    code = f"import ctypes, time\nctypes.CDLL(None).syscall({number}, 0x8000, 0, 0, 0, 0) or time.sleep(100000)"
    done = workspace.run(f"/usr/bin/python3 -c '{code}' {marker}")
    assert done.code == 0
    assert workspace.alive(marker) == []


def test_it_returns_although_a_daemon_holds_its_output_open(workspace):
    marker = f"marker-{uuid.uuid4()}"
    done = workspace.run(f"setsid sleep 100000.{marker[-4:].translate({ord(c): '7' for c in 'abcdef'})} & echo out")
    assert done.out == "out\n"
    assert done.report["exited"] == "0"
    assert done.report["killed"] == "1"


def test_the_time_limit_ends_the_whole_tree(workspace):
    marker = f"marker-{uuid.uuid4()}"
    script = f"trap '' TERM; (setsid python3 -c 'import time; time.sleep(100000)' {marker}) & sleep 100000; sleep 100000"
    done = workspace.run(script, timeout_ms=300, grace_ms=100)
    assert done.code == 124
    assert done.report["timeout"] is True
    assert workspace.alive(marker) == []


def test_at_the_time_limit_a_command_can_still_clean_up(workspace):
    done = workspace.run(
        "trap 'echo cleaned; exit 0' TERM; echo ready; while :; do sleep 0.05; done", timeout_ms=500, grace_ms=60_000)
    assert done.out == "ready\ncleaned\n"
    assert done.code == 124
    assert done.report["killed"] == "0"


def test_a_stopped_process_gets_the_sigterm_too(workspace):
    done = workspace.run("trap 'echo cleaned; exit 0' TERM; kill -STOP $$; :", timeout_ms=300, grace_ms=60_000)
    assert done.out == "cleaned\n"
    assert done.report["timeout"] is True


@pytest.mark.parametrize("order", [b"kill\n", None, b"something else\n"], ids=["kill", "closed", "not-understood"])
def test_the_control_descriptor_ends_the_whole_tree_at_once(workspace, order):
    marker = f"marker-{uuid.uuid4()}"
    theirs, ours = os.pipe()
    sleeper = f"python3 -c 'import time; time.sleep(100000)' {marker}"
    process = workspace.start(f"trap '' TERM; setsid {sleeper} & echo ready; {sleeper}", control=theirs)
    os.close(theirs)
    assert process.stdout.readline() == "ready\n"
    if order:
        os.write(ours, order)
    else:
        os.close(ours)
    done = workspace.finish(process)
    if order:
        os.close(ours)
    assert done.code == 137
    assert done.report["cancelled"] is True
    assert int(done.report["killed"]) >= 1
    assert workspace.alive(marker) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_to_the_janitor_cancels_the_command(workspace, number):
    process = workspace.start("sleep 100000 & echo ready; wait")
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    done = workspace.finish(process)
    assert (done.code, done.report["cancelled"]) == (137, True)
    assert int(done.report["killed"]) >= 1


def test_if_the_janitor_is_killed_the_command_goes_too(workspace):
    marker = f"marker-{uuid.uuid4()}"
    process = workspace.start(["python3", "-c", "import time; print('ready', flush=True); time.sleep(100000)", marker])
    assert process.stdout.readline() == "ready\n"
    process.kill()
    # Its output ends when it has gone: no time is waited for.
    assert process.communicate(timeout=HANGS)[0] == ""
    assert [pid for pid in workspace.alive(marker) if pid != process.pid] == []


def test_nobody_reading_the_report_changes_nothing(workspace):
    marker = f"marker-{uuid.uuid4()}"
    process = workspace.start(f"setsid python3 -c 'import time; time.sleep(100000)' {marker} & read line; exit 3",
                              stdin=subprocess.PIPE)
    os.close(process.report)
    assert process.communicate("go\n", timeout=HANGS)
    assert process.returncode == 3
    assert workspace.alive(marker) == []


# MARK: Exit codes and the report

CODES = {
    "true": ("true", 0, {"exited": "0"}),
    "false": ("false", 1, {"exited": "1"}),
    "exit 77": ("exit 77", 77, {"exited": "77"}),
    "killed by SIGTERM": ("kill -TERM $$", 143, {"signaled": "15"}),
    "killed by SIGKILL": ("kill -KILL $$", 137, {"signaled": "9"}),
    "killed by SIGSEGV": ("kill -SEGV $$", 139, {"signaled": "11"}),
    "too large a file": ("exec python3 -c 'import signal; signal.signal(25, signal.SIG_DFL); "
                         "open(\"big\", \"w\").truncate(17 << 30)'", 153, {"signaled": "25"}),
}


@pytest.mark.parametrize("case", CODES)
def test_the_exit_code_is_what_a_shell_gives(workspace, case):
    script, code, report = CODES[case]
    done = workspace.run(script)
    assert done.code == code
    assert report.items() <= done.report.items()
    assert {"killed", "wall_ms", "user_ms", "sys_ms", "maxrss_kb"} <= done.report.keys()


def test_a_program_that_is_not_there_is_127(workspace):
    done = workspace.run(["no-such-program"])
    assert done.code == 127
    assert done.report["failed"] == "exec" and done.report["errno"] == "2"
    assert "no-such-program: not found in PATH (/usr/local/bin:/usr/bin:/bin)" in done.err
    assert workspace.run(["./nothing"]).code == 127


def test_a_program_that_cannot_be_executed_is_126(workspace):
    (workspace.project / "plain").write_text("echo no first line\n")
    assert workspace.run(["./plain"]).code == 126
    (workspace.project / "plain").chmod(0o755)
    done = workspace.run(["./plain"])
    assert done.code == 126
    assert "#!/bin/sh" in done.err
    assert workspace.run([str(workspace.home)]).code == 126


def test_a_program_is_searched_in_the_commands_own_path(workspace):
    tool = workspace.home / "tool"
    tool.write_text("#!/bin/sh\necho mine\n")
    tool.chmod(0o755)
    path = {"PATH": f"/nowhere:{workspace.home}:/usr/bin"}
    assert workspace.run(["tool"], environment=path).out == "mine\n"


REFUSED = {
    "a project that is not there": (dict(project="/no/such"), "files", "/no/such"),
    "a home that is not there": (dict(home="/no/such"), "files", "/no/such"),
    "a temporary folder that is a file": (dict(tmp="/etc/passwd"), "files", "not a folder"),
    "the root as home": (dict(home="/"), "files", "the root"),
    "a working directory elsewhere": (dict(cwd="/usr"), "cwd", "/usr"),
    "a working directory that is not there": (dict(cwd="{project}/missing"), "cwd", "missing"),
    "a working directory through ..": (dict(cwd="{project}/../checkpoints"), "cwd", "must lie in the project"),
    "a working directory behind a link": (dict(cwd="{project}/link"), "cwd", "must lie in the project"),
    "a name that only begins like the project's": (dict(cwd="{project}s"), "cwd", "must lie in the project"),
    "a read-only project in a writable folder": (dict(profile="strategic", tmp="/tmp"), "files", "within each other"),
    "a writable folder in a read-only project": (
        dict(profile="strategic", home="{project}/sub"), "files", "within each other"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_jail_that_cannot_be_as_asked_is_refused_by_name(workspace, case):
    options, stage, words = REFUSED[case]
    (workspace.project / "link").symlink_to(workspace.outside)
    (workspace.project / "sub").mkdir()
    options = {key: value.format(project=workspace.project) for key, value in options.items()}
    done = workspace.run("touch ran", **options)
    assert done.code == 125
    assert done.report["failed"] == stage
    assert words in done.report["message"] and words in done.err
    assert not (workspace.project / "ran").exists()


def test_a_wrong_command_line_is_125_with_the_option_and_the_accepted_form(workspace):
    for arguments, words in [(["--profile", "loose"], "strategic, tactical"), (["--nonsense", "1"], "--nonsense"), ([], "")]:
        done = subprocess.run([workspace.jail, *arguments, "--project", "/x", "--home", "/x", "--tmp", "/x",
                               "--timeout-ms", "1", "--grace-ms", "1", "--", "true"], env={}, capture_output=True, text=True)
        assert done.returncode == 125
        assert done.stderr.startswith("agent-jail: ") and words in done.stderr


def test_a_descriptor_that_is_not_open_is_refused(workspace):
    done = workspace.run("touch ran", options=["--control-fd", "77"])
    assert done.code == 125
    assert "--control-fd 77" in done.err
    assert not (workspace.project / "ran").exists()


# MARK: What the kernel and the container must have

LANDLOCK_CREATE, LANDLOCK_RESTRICT, CLONE3 = 444, 446, 435
UNSHARE = {"x86_64": 272, "aarch64": 97}[platform.machine()]
ENOSYS, EOPNOTSUPP, EPERM = 38, 95, 1


@pytest.mark.parametrize("code, words", [
    (ENOSYS, "no Landlock"), (EOPNOTSUPP, 'add "landlock" to lsm='), (EPERM, "seccomp profile"),
])
def test_without_landlock_nothing_is_started_and_the_fix_is_named(workspace, code, words):
    done = workspace.run("touch ran", under=[WITH_FILTER, f"{LANDLOCK_CREATE}={code}", "--"])
    assert done.code == 125
    assert done.report["failed"] == "kernel"
    assert words in done.err and "Linux 6.12" in done.err
    assert not (workspace.project / "ran").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="needs a pid namespace, so that a mistake would kill only that")
def test_a_kernel_that_only_pretends_to_scope_signals_is_found_out_before_anything_is_killed(workspace):
    inner = [WITH_FILTER, f"{LANDLOCK_RESTRICT}=0", "--", workspace.jail, *workspace.arguments(["touch", "ran"])]
    script = 'sleep 1000 & "$@"; echo code $?; kill -0 $! && echo alive; kill $!'
    done = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "bash", "-c", script, "inner",
         *workspace.as_user(inner)], capture_output=True, text=True, timeout=HANGS)
    assert done.stdout == "code 125\nalive\n", done
    assert "pretends to have signal scopes" in done.stderr
    assert not (workspace.project / "ran").exists()


FOREIGN_CALLS = """
#include <stdio.h>
#include <unistd.h>
int main(void) {
    long old = 20, x32 = 0x40000000 | 39;  // getpid, by the 32-bit entry and by an x32 number
    __asm__ volatile("int $0x80" : "+a"(old) : : "memory", "r8", "r9", "r10", "r11");
    __asm__ volatile("syscall" : "+a"(x32) : : "memory", "rcx", "r11");
    printf("%d %ld\\n", old == getpid() ? 0 : (int)old, x32);
}
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="only x86_64 has other ways to call the kernel")
def test_the_kernels_other_entries_are_closed(workspace):
    (workspace.project / "foreign.c").write_text(FOREIGN_CALLS)
    assert workspace.run("gcc -o foreign foreign.c").code == 0
    assert workspace.bare("./foreign").out.split()[0] == "0", "this kernel has no 32-bit entry: the test shows nothing"
    # EPERM from the filter; a kernel without x32 would say ENOSYS itself.
    assert workspace.run("./foreign").out.split() == ["-1", "-1"]


def test_it_works_under_a_container_runtimes_filter(workspace):
    under = [WITH_FILTER, f"{CLONE3}={ENOSYS}", f"{UNSHARE}={EPERM}", "--"]
    done = workspace.run("python3 -c 'import threading; threading.Thread(target=print, args=(1,)).start()'; cat ../*/s*",
                         under=under)
    assert done.out == "1\n"
    assert done.code == 1


# MARK: What the command is given

def test_the_environment_is_exactly_what_was_asked_for(workspace):
    environment = {"A": "1", "EMPTY": "", "WITH": "a=b\nc\td \\", "PATH": "/usr/bin"}
    done = workspace.run(["env", "-0"], environment=environment)
    assert sorted(done.out.rstrip("\0").split("\0")) == sorted(f"{key}={value}" for key, value in environment.items())


def test_no_descriptor_but_0_1_and_2_reaches_the_command(workspace):
    secret = os.open(workspace.outside / "secret", os.O_RDONLY)
    theirs, ours = os.pipe()
    listing = "import os; print(sorted(int(name) for name in os.listdir(\"/proc/self/fd\")))"
    done = workspace.run(["python3", "-c", listing], control=theirs, pass_fds=[secret])
    for descriptor in (secret, theirs, ours):
        os.close(descriptor)
    # 3 is the listing's own.
    assert done.out == "[0, 1, 2, 3]\n"


def test_it_runs_in_the_project_or_in_a_folder_of_it(workspace):
    (workspace.project / "a/b").mkdir(parents=True)
    assert workspace.run("pwd -P").out == f"{workspace.project}\n"
    assert workspace.run("pwd -P", cwd=workspace.project / "a/b").out == f"{workspace.project}/a/b\n"
    assert workspace.run("pwd -P", cwd=f"{workspace.project}//a/./b/").out == f"{workspace.project}/a/b\n"


def test_standard_input_reaches_the_command_whole_and_so_does_its_output(workspace):
    text = "0123456789abcde\n" * 500_000
    assert workspace.run("cat", input=text).out == text


def test_signals_are_at_their_defaults_and_none_is_blocked(workspace):
    previous = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        process = workspace.start(["grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"])
    finally:
        signal.signal(signal.SIGCHLD, previous)
    done = workspace.finish(process)
    assert [line.split()[1] for line in done.out.splitlines()] == ["0" * 16, "0" * 16]


def test_it_is_a_session_of_its_own_without_a_terminal(workspace):
    done = workspace.run(["python3", "-c", "import os; print(os.getsid(0) == os.getpid()); open('/dev/tty')"])
    assert done.out == "True\n"
    assert done.code == 1


def test_while_planning_the_project_can_be_read_and_run_but_not_changed(workspace):
    (workspace.project / "tool").write_text("#!/bin/sh\necho ran\n")
    (workspace.project / "tool").chmod(0o755)
    script = """
        ./tool; cat tool > /dev/null || exit 1
        echo x > $HOME/x && echo x > $TMPDIR/x || exit 2
        for change in 'touch new' 'echo x >> tool' 'rm -f tool' 'mkdir folder' 'mv tool $HOME/' 'ln -s tool link' \
            'truncate -s 0 tool'; do
            eval "$change" 2> /dev/null && echo "could: $change"
        done
        exit 0
    """
    done = workspace.run(script, profile="strategic")
    assert (done.code, done.out) == (0, "ran\n"), done
    assert (workspace.project / "tool").read_text() == "#!/bin/sh\necho ran\n"


# MARK: Ordinary work

WORK = {
    "git": """
        git init -q -b main one && cd one && git config user.email a@b.c && git config user.name n
        echo x > file && git add . && git commit -qm first && cd .. && git clone -q one two && cat two/file
    """,
    "gcc and make": """
        printf 'int main(void){return 0;}' > main.c; printf 'main: main.c\\n\\tgcc -O2 -o main main.c\\n' > Makefile
        make -s -j4 && ./main
    """,
    "python's multiprocessing": """
        cat > pool.py <<'END'
import multiprocessing
def square(x): return x * x
if __name__ == '__main__':
    with multiprocessing.Pool(2) as pool: assert pool.map(square, range(4)) == [0, 1, 4, 9]
    lock, value = multiprocessing.Lock(), multiprocessing.Value('i', 0)
    with multiprocessing.Manager() as manager: manager.list([1]).append(2)
END
        python3 pool.py
    """,
    "a pseudo-terminal": python("import os, pty; m, s = os.openpty(); os.write(s, b\"x\"); assert os.read(m, 1) == b\"x\"; "
                                "assert pty.spawn([\"sh\", \"-c\", \"tty > /dev/null\"]) == 0"),
    "threads": python("import threading; t = [threading.Thread(target=print) for _ in range(9)]; "
                      "[x.start() for x in t]; [x.join() for x in t]"),
    "process substitution": "exec > >(tee log); echo hello; exec >&-; wait; sleep 0.1; grep -q hello log",
    "a here-document": "cat <<END | grep -q 4\n$((2 + 2))\nEND",
    "job control": "set -m; sleep 0.1 & fg %1 > /dev/null; sleep 5 & kill %1; wait %1; [ $? = 143 ]",
    "sqlite": "sqlite3 db 'pragma journal_mode=wal; create table t(x); insert into t values(1);' && sqlite3 db .dump",
    "a named pipe": "mkfifo pipe; echo x > pipe & read line < pipe; [ $line = x ]",
    "a Unix socket": python("import socket; a = socket.socket(socket.AF_UNIX); a.bind(\"s\"); a.listen(); "
                            "b = socket.socket(socket.AF_UNIX); b.connect(\"s\"); a.accept()"),
    "an abstract socket of its own": python(
        "import socket; a = socket.socket(socket.AF_UNIX); a.bind(\"\\0jail-test\"); a.listen(); "
        "b = socket.socket(socket.AF_UNIX); b.connect(\"\\0jail-test\")"),
    "signals among its own": "sleep 100 & kill $!; wait $!; [ $? = 143 ]",
    "its own priority and processors": "nice -n 5 true && taskset 1 true && ionice -c 3 true",
    "its own limits": "ulimit -n 100 && prlimit --nofile > /dev/null",
    "ps": "ps aux > /dev/null",
    "tar": "mkdir d && echo x > d/f && tar czf d.tgz d && rm -r d && tar xzf d.tgz && cat d/f",
    "the usual devices": "head -c 9 /dev/urandom > /dev/null && : > /dev/null && ! echo x > /dev/full 2> /dev/null",
    "standard error by name": "(echo x > /dev/stderr) 2>&1 | grep -q x && echo y | tee /dev/fd/2 2>&1 | grep -q y",
    "perl": "perl -e 'system(\"true\") == 0 or die; print `echo x`'",
    "renaming between folders": "mkdir a b && touch a/f && mv a/f b/ && mv b/f $HOME/ && mv $HOME/f $TMPDIR/",
}


@pytest.mark.parametrize("work", WORK)
def test_ordinary_work_works(workspace, work):
    done = workspace.run(WORK[work])
    assert done.code == 0, done
    assert done.report["exited"] == "0"
