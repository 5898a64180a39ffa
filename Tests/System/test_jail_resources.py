"""A command that uses up what it shares with the pod is ended, before the pod is: memory and disk."""
import pathlib
import subprocess
import uuid

import pytest

from jailed import python

MEGABYTE = 1 << 20

# MARK: Memory, of the command's own processes


def memory(text, mib=100):
    return dict(command=text, options=("--memory-mib", str(mib)))


def run(workspace, asked, **more):
    return workspace.run(asked["command"], options=asked["options"], **more)


HOGS = {
    "one large allocation": python("bytearray(1 << 30)"),
    "populated by one system call": python("import mmap; mmap.mmap(-1, 1 << 30, 0x8022)"),
    "many processes": "for i in $(seq 8); do " + python("x = b'1' * (40 << 20); import time; time.sleep(100)") + " & done; wait",
    "a daemon that has left the session": "setsid " + python("x = b'1' * (400 << 20); import time; time.sleep(100)") + " & sleep 100",
}


@pytest.mark.parametrize("hog", HOGS)
def test_a_command_that_holds_too_much_memory_is_ended_with_its_whole_tree(workspace, hog):
    marker = f"marker-{uuid.uuid4()}"
    done = run(workspace, memory(f": {marker}; {HOGS[hog]}"))
    assert (done.code, done.report.get("exhausted")) == (137, "memory"), done
    assert done.report["message"].startswith("the command's processes hold ")
    assert int(done.report["killed"]) >= 1
    assert workspace.alive(marker) == []


def test_memory_that_processes_share_after_a_fork_counts_once(workspace):
    shared = """
import os, time
x = b"1" * (60 << 20)
for number in range(6):
    if os.fork() == 0:
        time.sleep(1)
        os._exit(0)
for number in range(6): os.wait()
"""
    done = run(workspace, memory(python(shared)))
    assert (done.code, done.report.get("exited")) == (0, "0"), done


def test_files_that_are_read_do_not_count(workspace):
    done = run(workspace, memory("head -c 300M /dev/zero > big && cat big big big | wc -c && rm big"))
    assert (done.code, done.out) == (0, f"{900 * MEGABYTE}\n"), done


# MARK: Memory of the pod

CONTROLLER = pathlib.Path("/sys/fs/cgroup/memory")


@pytest.fixture
def cgroup():
    """Makes a cgroup with a limit of 256 MiB; the container tests have one of their own everywhere."""
    version1 = (CONTROLLER / "memory.limit_in_bytes").exists()
    folder = (CONTROLLER if version1 else CONTROLLER.parent) / f"agent-init-test-{uuid.uuid4()}"
    try:
        folder.mkdir()
        (folder / ("memory.limit_in_bytes" if version1 else "memory.max")).write_text("256M")
    except OSError:
        if folder.exists():
            folder.rmdir()
        pytest.skip("no cgroup can be made here; test_container.py has the same in a container")
    yield ("sh", "-c", f'echo $$ > {folder}/cgroup.procs && exec "$@"', "sh")
    folder.rmdir()


def in_cgroup(workspace, cgroup, command, **asked):
    """As `workspace.run`, but the jail is moved there first, by us: the user may not.

    At 60 %: a test machine that is busy a hundredfold gives the janitor no processor for longer than the rest lasts. The
    container's test has the default.
    """
    asked["options"] = ("--memory-percent", "60")
    prefix = workspace.as_user
    workspace.as_user = lambda line: [*cgroup, *prefix(line)]
    try:
        return workspace.run(command, **asked)
    finally:
        workspace.as_user = prefix


FILLERS = {**{name: hog for name, hog in HOGS.items() if name != "one large allocation"},
           "a file in shared memory": "trap 'rm -f /dev/shm/agent-test-$$' EXIT; head -c 400M /dev/zero > /dev/shm/agent-test-$$",
           "one large allocation": HOGS["one large allocation"]}


@pytest.mark.parametrize("filler", FILLERS)
def test_the_command_is_ended_before_the_pods_limit(workspace, cgroup, filler):
    folder = pathlib.Path(cgroup[2].split()[3]).parent
    done = in_cgroup(workspace, cgroup, FILLERS[filler])
    for file in pathlib.Path("/dev/shm").glob("agent-test-*"):
        file.unlink()
    assert (done.code, done.report.get("exhausted")) == (137, "memory"), done
    assert "of 256 MiB" in done.report["message"]
    # The kernel itself had nothing to kill.
    events = folder / "memory.oom_control"
    events = events if events.exists() else folder / "memory.events"
    assert "oom_kill 0" in events.read_text()


def test_a_build_that_reads_more_than_the_pod_has_is_let_alone(workspace, cgroup):
    done = in_cgroup(workspace, cgroup, "head -c 600M /dev/zero > big && cat big big | wc -c; rm -f big")
    assert (done.code, done.out) == (0, f"{1200 * MEGABYTE}\n"), done


def test_what_lies_in_memory_from_before_can_be_removed_by_a_command(workspace, cgroup):
    leave = "head -c 400M /dev/zero > /dev/shm/agent-test-left"
    try:
        assert in_cgroup(workspace, cgroup, leave).report.get("exhausted") == "memory"
        done = in_cgroup(workspace, cgroup, "sleep 0.3; rm /dev/shm/agent-test-left && echo removed")
        assert (done.code, done.out) == (0, "removed\n"), done
    finally:
        pathlib.Path("/dev/shm/agent-test-left").unlink(missing_ok=True)


def test_should_memory_run_out_the_kernel_takes_the_command_first(workspace):
    process = workspace.start("cat /proc/self/oom_score_adj; echo 0 > /proc/self/oom_score_adj; read line", stdin=subprocess.PIPE)
    assert process.stdout.readline() == "1000\n"
    own = pathlib.Path("/proc/self/oom_score_adj").read_text()
    assert pathlib.Path(f"/proc/{process.pid}/oom_score_adj").read_text() == own
    done = workspace.finish(process, "go\n")
    assert "oom_score_adj" in done.err, "it cannot be lowered again"


# MARK: Disk

SMALL = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
         'mount -t tmpfs -o size=64m,nr_inodes=4000 none "$0" && exec "$@"')


def on_a_small_volume(workspace, command, **asked):
    """With the project tree on a volume of 64 MiB and 4000 files of its own."""
    return workspace.run(command, under=(*SMALL, str(workspace.project)), **asked)


def test_a_command_that_fills_the_projects_volume_is_ended(workspace):
    done = on_a_small_volume(workspace, "i=0; while :; do i=$((i + 1)); head -c 1M /dev/zero > $i; done")
    assert (done.code, done.report.get("exhausted")) == (137, "disk"), done
    assert f"the volume of {workspace.project} has only " in done.report["message"]
    assert "of 64 MiB left" in done.report["message"]


def test_a_command_that_uses_up_the_files_of_a_volume_is_ended(workspace):
    many = python("import itertools\nfor i in itertools.count():\n    try: open(str(i), 'x').close()\n    except OSError: pass")
    done = on_a_small_volume(workspace, many)
    assert (done.code, done.report.get("exhausted")) == (137, "disk"), done
    assert "more files" in done.report["message"]


def test_the_volume_of_the_checkpoint_is_watched_too(workspace):
    shared = workspace.tmp
    done = workspace.run(
        "i=0; while :; do i=$((i + 1)); head -c 1M /dev/zero > $TMPDIR/$i; done", under=(*SMALL, str(shared)),
        options=("--disk-watch", str(shared)))
    assert done.report.get("exhausted") == "disk", done
    assert f"the volume of {shared}" in done.report["message"]


# By the name of the fixture's folder: what leads there in the command's environment.
WRITABLE = {"home": "$HOME", "tmp": "$TMPDIR"}


@pytest.mark.parametrize("folder", WRITABLE)
def test_every_volume_that_a_command_can_write_is_watched(workspace, folder):
    done = workspace.run(
        f"i=0; while :; do i=$((i + 1)); head -c 1M /dev/zero > {WRITABLE[folder]}/$i; done",
        under=(*SMALL, str(getattr(workspace, folder))))
    assert (done.code, done.report.get("exhausted")) == (137, "disk"), done
    assert f"the volume of {getattr(workspace, folder)} has only " in done.report["message"]
    assert "of 64 MiB left" in done.report["message"]


@pytest.mark.parametrize("folder", WRITABLE)
def test_the_files_of_every_volume_that_a_command_can_write_are_watched(workspace, folder):
    path = getattr(workspace, folder)
    many = python(f"import itertools\nfor i in itertools.count():\n    try: open(f'{path}/{{i}}', 'x').close()\n    except OSError: pass")
    done = workspace.run(many, under=(*SMALL, str(path)))
    assert (done.code, done.report.get("exhausted")) == (137, "disk"), done
    assert f"the volume of {path} has room for only " in done.report["message"]


def test_a_command_of_the_strategic_phase_is_watched_where_it_can_write(workspace):
    done = workspace.run("i=0; while :; do i=$((i + 1)); head -c 1M /dev/zero > $HOME/$i; done",
                         profile="strategic", under=(*SMALL, str(workspace.home)))
    assert (done.code, done.report.get("exhausted")) == (137, "disk"), done


def test_a_small_shared_memory_may_be_filled(workspace):
    # Long enough full for many looks.
    done = workspace.run("head -c 70M /dev/zero > /dev/shm/big || echo $?; sleep 0.5; rm /dev/shm/big; echo cleared",
                         under=(*SMALL, "/dev/shm"))
    assert (done.code, done.out) == (0, "1\ncleared\n"), done


def test_a_large_shared_memory_is_watched(workspace):
    large = (*SMALL[:-1], 'mount -t tmpfs -o size=2g,nr_inodes=4000 none "$0" && exec "$@"', "/dev/shm")
    many = python("import itertools\nfor i in itertools.count():\n    try: open(f'/dev/shm/{i}', 'x').close()\n    except OSError: pass")
    done = workspace.run(many, under=large)
    assert (done.code, done.report.get("exhausted")) == (137, "disk"), done
    assert "the volume of /dev/shm has room for only " in done.report["message"]


def test_without_a_reserve_the_volume_may_be_filled(workspace):
    done = on_a_small_volume(workspace, "head -c 70M /dev/zero > big || echo $?", options=("--disk-reserve-mib", "0"))
    assert (done.code, done.out) == (0, "1\n"), done


def test_a_full_volume_does_not_keep_a_command_from_clearing_it(workspace):
    small = (*SMALL[:-1], 'mount -t tmpfs -o size=64m none "$0" && head -c 62M /dev/zero > "$0/big" && exec "$@"',
             str(workspace.project))
    done = workspace.run("sleep 0.3; rm big && echo cleared", under=small)
    assert (done.code, done.out) == (0, "cleared\n"), done


def test_shared_memory_that_is_full_keeps_no_command_from_running_and_clearing_it(workspace):
    full = (*SMALL[:-1], 'mount -t tmpfs -o size=16m none "$0" && ! head -c 17M /dev/zero > "$0/big" 2>&1 && exec "$@"',
            "/dev/shm")
    clear = "! echo x > /dev/shm/more; rm /dev/shm/big && " + python("import multiprocessing; multiprocessing.Lock()") + " && echo cleared"
    done = workspace.run(clear, under=full)
    assert (done.code, done.out) == (0, "cleared\n") and "No space left" in done.err, done


# MARK: Limits of the kernel

def test_a_files_size_is_limited(workspace):
    done = workspace.run("head -c 5M /dev/zero > big", options=("--file-size-mib", "2"))
    assert done.code == 128 + 25, done
    assert (workspace.project / "big").stat().st_size == 2 * MEGABYTE


def test_descriptors_are_limited_and_there_are_no_core_files(workspace):
    done = workspace.run("ulimit -Sn; ulimit -c", options=("--open-files", "99"))
    assert done.out == "99\n0\n", done
