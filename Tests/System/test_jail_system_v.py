"""System V objects: a command has its own, by key and by id, and no others; at its end they are gone."""
import errno
import os
import pathlib
import subprocess

import pytest

from jailed import python

LIBRARY = """
import ctypes, errno, os, struct, sys
library = ctypes.CDLL(None, use_errno=True)
library.shmat.restype = ctypes.c_void_p
library.shmget.argtypes = [ctypes.c_int, ctypes.c_size_t, ctypes.c_int]
CREATE, EXCLUSIVE, REMOVE, STAT = 0o1000, 0o2000, 0, 2
def did(result):
    return result if result not in (-1, 2**64 - 1) else -ctypes.get_errno()
"""


def ids(kind):
    """The ids of all objects of a kind that there are, by the kernel's table."""
    with open(f"/proc/sysvipc/{kind}", encoding="ascii") as table:
        return {int(line.split()[1]) for line in list(table)[1:]}


@pytest.fixture
def others():
    """An object of each kind that everybody may use, with its key: what another container of the pod would have."""
    script = LIBRARY + (
        "key = os.getpid() << 8\n"
        "print(key, library.shmget(key, 4096, CREATE | 0o666), library.semget(key, 1, CREATE | 0o666), "
        "library.msgget(key, CREATE | 0o666))")
    done = subprocess.run(["python3", "-c", script], check=True, capture_output=True, text=True)
    key, memory, semaphores, messages = map(int, done.stdout.split())
    assert min(memory, semaphores, messages) >= 0
    yield key, memory, semaphores, messages
    for option, number in (("-m", memory), ("-s", semaphores), ("-q", messages)):
        subprocess.run(["ipcrm", option, str(number)], check=True)


USE = LIBRARY + """
key, memory, semaphores, messages = map(int, sys.argv[1:5])
print(*[
    # By its id, by its key, and by its place in the kernel's table.
    did(library.shmat(memory, None, 0)) > 0, did(library.semop(semaphores, struct.pack("=Hhh", 0, 1, 0), 1)),
    did(library.msgsnd(messages, struct.pack("=qc", 1, b"x"), 1, 0)),
    did(library.shmget(key, 4096, 0)) == memory, did(library.semget(key, 1, 0)) == semaphores,
    did(library.msgget(key, 0)) == messages,
    did(library.shmctl(memory, STAT, ctypes.create_string_buffer(512))),
    # SHM_STAT; the place is in an id's low bits (ipc/util.h).
    did(library.shmctl(memory & 0x7fff, 13, ctypes.create_string_buffer(512))) == memory,
    did(library.semctl(semaphores, 0, 16, 5))])
"""


def test_objects_of_others_are_used_without_the_jail_and_not_within(workspace, others):
    (workspace.project / "use.py").write_text(USE)
    script = f"python3 {workspace.project}/use.py " + " ".join(map(str, others))
    assert workspace.bare(script).out.split() == ["True", "0", "0", "True", "True", "True", "0", "True", "0"]
    none = str(-errno.EINVAL)
    within = workspace.run(script)
    assert within.out.split() == ["False", none, none, "False", "False", "False", none, "False", none], within


def test_objects_of_others_are_not_removed(workspace, others):
    _, memory, semaphores, messages = others
    script = f"ipcrm -m {memory} || ipcrm -s {semaphores} || ipcrm -q {messages} || echo refused"
    assert workspace.run(script).out == "refused\n"
    assert memory in ids("shm") and semaphores in ids("sem") and messages in ids("msg")


OWN = LIBRARY + """
key = 4711
memory, semaphores, messages = (library.shmget(key, 4096, CREATE | 0o600), library.semget(key, 2, CREATE | 0o600),
                                library.msgget(key, CREATE | 0o600))
assert min(memory, semaphores, messages) >= 0
assert did(library.shmget(key, 4096, CREATE | EXCLUSIVE)) == -errno.EEXIST
assert did(library.shmget(key, 8192, 0)) == -errno.EINVAL and did(library.shmget(key + 1, 1, 0)) == -errno.ENOENT
place = library.shmat(memory, None, 0)
if os.fork() == 0:
    # By their key, in another process.
    there = library.shmat(library.shmget(key, 4096, 0), None, 0)
    ctypes.memmove(there, b"hello", 5)
    library.msgsnd(library.msgget(key, 0), struct.pack("=q5s", 1, b"world"), 5, 0)
    library.semop(library.semget(key, 2, 0), struct.pack("=Hhh", 0, 1, 0), 1)
    os._exit(0)
# Waits until the other has raised it.
assert library.semop(semaphores, struct.pack("=Hhh", 0, -1, 0), 1) == 0
buffer = ctypes.create_string_buffer(64)
assert library.msgrcv(messages, buffer, 56, 0, 0) == 5 and buffer.raw[8:13] == b"world"
assert ctypes.string_at(place, 5) == b"hello"
assert library.shmdt(ctypes.c_void_p(place)) == 0
print(memory, semaphores, messages, flush=True)
"""


def test_a_commands_own_work_among_its_processes_and_are_gone_with_it(workspace):
    done = workspace.run(python(OWN))
    assert done.code == 0 and done.refused == [], done
    memory, semaphores, messages = map(int, done.out.split())
    assert memory not in ids("shm") and semaphores not in ids("sem") and messages not in ids("msg")


def test_they_are_gone_after_a_command_that_was_killed_and_had_them_in_use(workspace):
    before = ids("shm"), ids("sem"), ids("msg")
    done = workspace.run(python(OWN + "library.shmat(memory, None, 0)\nimport time; time.sleep(1000)"), timeout_ms=3000,
                         grace_ms=100)
    assert "timeout" in done.report and len(done.out.split()) == 3, done
    assert (ids("shm"), ids("sem"), ids("msg")) == before


def test_one_key_is_another_object_in_each_command(workspace):
    hold = workspace.start(python(OWN + "import time; time.sleep(1000)"))
    first = hold.stdout.readline().split()
    second = workspace.run(python(OWN)).out.split()
    assert len(first) == len(second) == 3 and not set(zip("msq", first)) & set(zip("msq", second))
    hold.terminate()
    workspace.finish(hold)
    assert not {int(first[0])} & ids("shm")


def test_one_that_was_removed_is_made_anew_by_its_key(workspace):
    done = workspace.run(python(LIBRARY + """
one = library.shmget(7, 4096, CREATE | 0o600)
place = library.shmat(one, None, 0)
assert library.shmctl(one, REMOVE, None) == 0
two = library.shmget(7, 4096, CREATE | EXCLUSIVE | 0o600)
assert two >= 0 and two != one, (one, two)
# Whoever has it can still attach one that is only marked (shmctl(2)).
assert library.shmat(one, None, 0) > 0
"""))
    assert done.code == 0, done


def test_their_number_and_their_size_are_bounded(workspace):
    done = workspace.run(python(LIBRARY + """
print(did(library.shmget(0, 257 << 20, CREATE | 0o600)), did(library.semget(0, 9000, CREATE | 0o600)))
made = 0
while did(library.msgget(0, CREATE | 0o600)) >= 0: made += 1
print(made, ctypes.get_errno())
"""))
    assert done.out.split() == [str(-errno.ENOSPC), str(-errno.ENOSPC), "128", str(errno.ENOSPC)], done


def set_next_id(kind, number):
    """The next object gets it (sysctl kernel.sem_next_id and the like, of CONFIG_CHECKPOINT_RESTORE)."""
    pathlib.Path(f"/proc/sys/kernel/{kind}_next_id").write_text(str(number))


@pytest.mark.skipif(not os.access("/proc/sys/kernel/sem_next_id", os.W_OK), reason="needs /proc/sys/kernel/sem_next_id, as root")
@pytest.mark.parametrize("kind", ["sem", "shm", "msg"])
def test_an_id_that_the_kernel_gives_to_somebody_else_is_no_longer_the_commands(workspace, kind):
    make, remove, use, option = {
        "sem": ("semget(0, 1, CREATE | 0o600)", "semctl(id, 0, REMOVE)", "semctl(id, 0, 12)", "-S 1"),
        "shm": ("shmget(0, 4096, CREATE | 0o600)", "shmctl(id, REMOVE, None)", "shmctl(id, STAT, ROOM)", "-M 4096"),
        "msg": ("msgget(0, CREATE | 0o600)", "msgctl(id, REMOVE, None)", "msgctl(id, STAT, ROOM)", "-Q"),
    }[kind]
    process = workspace.start(["/usr/bin/python3", "-c", LIBRARY + f"""
ROOM = ctypes.create_string_buffer(512)
id = library.{make}
assert id >= 0 and did(library.{use}) >= 0 and library.{remove} == 0
print(id, flush=True)
sys.stdin.readline()
print(did(library.{use}), did(library.{remove}), flush=True)
"""], stdin=subprocess.PIPE)
    wanted = int(process.stdout.readline())
    set_next_id(kind, wanted)
    made = subprocess.run(["ipcmk", *option.split(), "-p", "0666"], check=True, capture_output=True, text=True)
    given = int(made.stdout.split()[-1])
    try:
        assert given == wanted, "it is the very id"
        process.stdin.write("go\n")
        process.stdin.flush()
        assert process.stdout.readline().split() == [str(-errno.EINVAL)] * 2
        workspace.finish(process)
        assert given in ids(kind), "nor is it removed with the command's own"
    finally:
        subprocess.run(["ipcrm", f"-{option[1].lower()}", str(given)], check=False)
