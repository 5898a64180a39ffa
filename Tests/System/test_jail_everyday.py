"""Work that developers do every day: it behaves within the jail as without it, and what is open for it opens nothing else."""
import os
import re

import pytest

from jailed import python
from job_ends import end_well
from outside_servers import granted  # noqa: F401 (a fixture)
from turns import execute, job_of, turn

WORK = {
    "strace": "strace -f -o trace /bin/true && grep -q 'exited with 0' trace",
    "gdb": """echo 'int main(){return 3;}' > a.c && gcc -g a.c -o a
              gdb -q -batch -ex 'break main' -ex run -ex bt -ex continue ./a > seen 2>&1
              grep -q 'exited with code 03' seen && grep -q '#0  main' seen""",
    "the address sanitizer, which looks for leaks": """
              echo '#include <stdlib.h>
              int main(){char *p = malloc(3); p[1] = 1; free(p); return 0;}' > a.c
              gcc -g -fsanitize=address a.c -o a && ./a""",
    "a leak that is found": """
              echo '#include <stdlib.h>
              int main(){volatile char *p = malloc(3); p[1] = 1; p = 0; return 0;}' > a.c
              gcc -g -fsanitize=address a.c -o a && if ./a 2> seen; then exit 1; fi; grep -q 'detected memory leaks' seen""",
    "ssh-agent": """eval $(ssh-agent) > /dev/null && ssh-keygen -q -t ed25519 -N '' -f k && ssh-add -q k
              ssh-add -l | grep ED25519 && kill $SSH_AGENT_PID""",
    "fakeroot": """touch f && fakeroot -- sh -c 'chown 7:8 f && test "$(stat -c %u:%g f)" = 7:8'""",
    "ipcmk, ipcs, ipcrm": """id=$(ipcmk -M 4096) && ipcrm -m ${id##* }
              id=$(ipcmk -S 2) && ipcrm -s ${id##* } && id=$(ipcmk -Q) && ipcrm -q ${id##* }""",
    "dpkg and apt": "dpkg -l bash | grep '^ii' && apt list --installed 2>/dev/null | grep '^bash/'",
    "ip addr": "ip -o addr show lo | grep 127.0.0.1",
    "ip route": "ip route show > /dev/null",
    "node's networkInterfaces": "node -e 'process.exit(require(\"os\").networkInterfaces().lo ? 0 : 1)'",
    "Python's if_nameindex": "python3 -c 'import socket; assert (1, \"lo\") in socket.if_nameindex()'",
    "a rename into another folder": "mkdir a b && echo x > a/f && mv a/f b/f && ln b/f a/g && cp -l b/f a/h && cat a/h",
    "git push to a path": """git init -q --bare up.git && git init -q w && cd w && git config user.email a@b && git config user.name a
              echo x > f && git add f && git commit -qm x && git push -q ../up.git HEAD:main && git -C ../up.git log -1 main""",
    "tar with hard links": "mkdir a b && echo x > a/f && ln a/f a/g && tar cf t.tar a && tar xf t.tar -C b && cmp b/a/f b/a/g",
}


@pytest.mark.parametrize("work", WORK)
def test_it_works_within_as_without(workspace, work):
    script = f"mkdir $KIND && cd $KIND\n{WORK[work]}"
    outside = workspace.bare("export KIND=outside\ncd " + str(workspace.project) + "\n" + script)
    assert outside.code == 0, outside
    within = workspace.run("export KIND=within\n" + script, timeout_ms=120_000)
    assert within.code == 0 and within.refused == [], within


# MARK: Tracing stays within the command

TRACE = """
import ctypes, os, sys
victim, library = int(sys.argv[1]), ctypes.CDLL(None, use_errno=True)
def error(result): return ctypes.get_errno() if result < 0 else 0
class Part(ctypes.Structure): _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
where = int(open("/proc/%d/stat" % victim).read().rsplit(")", 1)[1].split()[25])
buffer = ctypes.create_string_buffer(8)
here, there = Part(ctypes.addressof(buffer), 8), Part(where, 8)
# PTRACE_SEIZE and PTRACE_ATTACH.
print(error(library.ptrace(0x4206, victim, None, None)), error(library.ptrace(16, victim, None, None)),
      error(library.process_vm_readv(victim, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)),
      error(library.process_vm_writev(victim, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)))
"""
REFUSED = {"1 1 1 1", "1 1 1 14", "1 1 1 3"}


def test_a_command_traces_neither_another_command_nor_its_janitor(workspace):
    (workspace.project / "trace.py").write_text(TRACE)
    other = workspace.start("echo $$; exec sleep 1000")
    victim = other.stdout.readline().strip()
    script = f"python3 trace.py {victim}; python3 trace.py $PPID; sleep 1000 & python3 trace.py $!; kill $!"
    done = workspace.run(script)
    others, janitors, own = done.out.splitlines()
    assert others == janitors == "1 1 1 1", done
    # SEIZE succeeds; a second tracer there cannot be; what no process has at its stack's start may be unwritable.
    assert own.split()[0] == "0" and own.split()[2] == "0", done
    other.terminate()
    workspace.finish(other)


def test_a_tracer_that_holds_its_command_does_not_outlive_it(workspace):
    hold = python("import ctypes, os, time\nlibrary = ctypes.CDLL(None)\nshell = os.getppid()\n"
                  "library.ptrace(0x4206, shell, None, None)\nlibrary.ptrace(0x4207, shell, None, None)\n"
                  "print(os.getpid(), flush=True)\ntime.sleep(1000)")
    done = workspace.run(f"{hold} & wait; echo never", timeout_ms=2000, grace_ms=100)
    assert "timeout" in done.report and done.out.strip().isdigit(), done
    assert not os.path.exists(f"/proc/{done.out.strip()}"), "with its command it is gone"


def test_a_process_cannot_close_itself_and_is_told_that_it_has(workspace, granted):
    script = python(f"""
import ctypes, socket
assert ctypes.CDLL(None).prctl(4, 0, 0, 0, 0) == 0
socket.create_connection(("127.0.0.1", {granted.port})).close()
""")
    assert workspace.run(script, network=f"127.0.0.1:{granted.port}").code == 0


# MARK: Netlink is for looking

def test_nothing_is_changed_by_netlink(workspace):
    before = workspace.bare("ip -o link show lo; ip route").out
    done = workspace.run("""
        for change in 'link set lo mtu 1400' 'addr add 127.9.9.9/8 dev lo' 'link add d0 type dummy' 'route add 192.0.2.0/24 dev lo'; do
            if ip $change; then echo changed; fi
        done""")
    assert done.code == 0 and done.out == "", done
    assert len(re.findall("Operation not permitted", done.err)) == 4, done
    assert workspace.bare("ip -o link show lo; ip route").out == before


CHANGE = """
import ctypes, os, platform, signal, sys
library = ctypes.CDLL(None, use_errno=True)
library.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
GETPID, KCMP = 39, 312
child = os.fork()
if child == 0:
    library.ptrace(0, 0, None, None)
    os.kill(os.getpid(), signal.SIGSTOP)
    own = os.getpid()
    result = library.syscall(GETPID, own, own, 0, 0, 0)
    os._exit(result if result >= 0 and result != own else 100 + ctypes.get_errno())
os.waitpid(child, 0)
registers = (ctypes.c_ulonglong * 27)()
while True:
    # PTRACE_SYSCALL: to the next entry or exit of a call; PTRACE_GETREGS. orig_rax is the 15th (sys/user.h).
    library.ptrace(24, child, None, None)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status): sys.exit(os.WEXITSTATUS(status))
    library.ptrace(12, child, None, ctypes.addressof(registers))
    own = registers[14] == registers[13] == child
    if registers[15] == GETPID and own:
        registers[15] = KCMP
        library.ptrace(13, child, None, ctypes.addressof(registers))
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the registers are those of x86-64")
def test_a_call_that_a_tracer_has_changed_goes_through_the_filter_again(workspace):
    """kcmp(2) on itself: without the jail it says 0, equal."""
    assert workspace.bare(python(CHANGE)).code == 0
    assert workspace.run(python(CHANGE)).code == 101, "EPERM of the filter"


def test_in_the_loop_it_works_too(new_job):
    """The loop's own domain lies around that of its commands."""
    job = new_job(job_of(*[turn(execute(f"mkdir {name} && cd {name}\n{WORK[work]}")) for name, work in (
        ("a", "strace"), ("b", "dpkg and apt"), ("c", "ip addr"), ("d", "fakeroot"), ("e", "git push to a path"))]))
    journal = end_well(job)
    outcomes = {event["call"]: event["outcome"] for event in journal.of("call_finished")}
    assert [outcomes[f"{number}.0"] for number in range(2, 7)] == ["done"] * 5, journal.results("execute")
