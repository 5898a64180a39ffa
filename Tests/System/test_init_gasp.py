"""Last-gasp records of PID 1: what is kept of a process that died, and what its cause was."""

import contextlib
import os
import pathlib
import signal
import uuid

import pytest

from init_box import SERVE, done, init_or_not, needs_root

TAIL = 64 << 10


def gasps(folder):
    """The records in the folder, oldest first: the fields and the bytes of the output."""
    found = []
    for path in sorted(pathlib.Path(folder).glob("*.gasp")):
        assert path.stat().st_mode & 0o777 == 0o600
        head, _, output = path.read_bytes().partition(b"\n")
        found.append((dict(field.split("=", 1) for field in head.decode().split("\t")), output))
    return found


@pytest.fixture
def folder(box):
    path = box.folder / "gasps"
    path.mkdir(mode=0o777)
    path.chmod(0o777)
    return path


def records(folder):
    return ["status", f"records={folder}"]


@init_or_not
def test_a_process_that_dies_leaves_its_cause_its_place_and_its_last_words(box, init, folder):
    place = ["status", "phase=TACTICAL\tstep=7\tseq=31\tdoing=call 7.0 (execute)"]
    box.script([[records(folder), place, ["out", "working\n"], ["err", "Fatal error: no\n"], ["die", signal.SIGABRT]],
                done(0)])
    assert box.run(init=init)[0] == 0
    (fields, output), = gasps(folder)
    assert output in (b"working\nFatal error: no\n", b"Fatal error: no\nworking\n")
    assert fields["cause"] == "was killed by signal 6 (SIGABRT)" and fields["signal"] == "SIGABRT"
    assert (fields["child"], fields["phase"], fields["step"], fields["seq"], fields["doing"], fields["restarts"]) == (
        "loop", "TACTICAL", "7", "31", "call 7.0 (execute)", "0")
    assert int(fields["pid"]) == box.records("loop_starts")[0]["pid"]
    assert int(fields["max_rss_kb"]) > 1000 and "memory" not in fields
    # What is kept was passed on all the same.
    assert box.shipped("stderr") == "Fatal error: no\n" and box.shipped("stdout") == "working\n"


def test_the_gateway_leaves_one_too_and_its_words_still_reach_the_containers_stderr(box, folder):
    box.script([[["until", "gone"]] + done(0)],
               [[records(folder), ["err", "gateway: broken\n"], ["touch", "gone"], ["exit", 3]], SERVE])
    code, _, log = box.run(init=False)
    (fields, output), = gasps(folder)
    assert code == 0 and "gateway: broken\n" in log
    assert output == b"gateway: broken\n" and (fields["child"], fields["exit"]) == ("gateway", "3")


def test_an_orderly_end_leaves_none(box, folder):
    box.script([[records(folder), ["err", "bye\n"]] + done(0)])
    assert box.run(init=False)[0] == 0
    assert gasps(folder) == []


def test_of_much_output_the_whole_lines_of_the_last_64_kib_are_kept_and_all_of_it_is_passed_on(box, folder):
    box.script([[records(folder), ["flood", 40000], ["die", signal.SIGKILL]], done(0)])
    assert box.run(init=False)[0] == 0
    (fields, output), = gasps(folder)
    whole = "".join(f"line {number}\n" for number in range(40000))
    assert box.shipped("stderr") == whole
    assert output == whole.encode()[-TAIL:].partition(b"\n")[2] and fields["output_bytes"] == str(len(whole))


def test_each_process_has_its_own_words(box, folder):
    box.script([[records(folder), ["err", "one\n"], ["exit", 9]], [["err", "two\n"], ["exit", 9]], done(0)])
    assert box.run(init=False)[0] == 0
    assert [(fields["restarts"], output) for fields, output in gasps(folder)] == [("0", b"one\n"), ("1", b"two\n")]


def test_a_record_waits_until_the_folder_is_known(box, folder):
    box.script([[["err", "too early\n"], ["touch", "dead"], ["exit", 9]], [["until", "told"]] + done(0)],
               [[["until", "loop_starts"], ["until", "dead"], ["sleep", 0.3], records(folder), ["touch", "told"], ["serve"]]])
    assert box.run(init=False)[0] == 0
    assert [output for _, output in gasps(folder)] == [b"too early\n"]


@pytest.mark.parametrize("broken", ["missing", "closed", "full"])
def test_a_record_that_cannot_be_kept_is_said_and_changes_nothing(box, folder, broken):
    if broken == "missing":
        folder.rmdir()
    elif broken == "closed":
        folder.chmod(0o500)
    else:
        for number in range(32):
            (folder / f"{number}.gasp").touch()
    box.script([[records(folder), ["exit", 9]], done(0)])
    code, _, log = box.run(init=os.getuid() == 0, user=os.getuid() == 0)
    assert code == 0 and "the last-gasp record of the loop is not kept: " in log and "starting it again" in log


def test_a_reader_that_does_not_read_holds_up_the_child_and_not_pid_1(box, folder):
    """A gateway that reads nothing: the loop stands still in its write, PID 1 still ends all in time."""
    box.script([[records(folder), ["touch", "begun"], ["flood", 200000], ["touch", "through"]]],
               [[["status", "beat"], ["ignore_term"], ["sleep", 60]]])
    process = box.start("run", init=False)
    box.wait_for("begun")
    process.send_signal(signal.SIGTERM)
    code, _, log = box.finish(process)
    assert code == 143 and not box.records("through")
    assert "SIGTERM: stopping within 3 s" in log


# MARK: a process that hangs

def test_a_loop_that_is_silent_is_asked_for_its_stack_then_killed_and_restarted(box, folder):
    beats = ["status", "phase=TACTICAL\tstep=7\tseq=31\tdoing=a request to the model"]
    box.script([[records(folder), beats, ["on_quit", [["err", "stack: here\n"]]], ["sleep", 60], ["sleep", 60]], done(0)])
    code, _, log = box.run(init=False, env={"AGENT_WATCHDOG_SECONDS": "10"})
    (fields, output), = gasps(folder)
    assert code == 0
    assert ("the loop hangs: nothing heard of it for 10 s, last known phase TACTICAL, step 7, seq 31, doing a request "
            "to the model; ending it") in log
    assert fields["cause"] == "hung and was killed by signal 9 (SIGKILL)" and output == b"stack: here\n"


# MARK: memory

@contextlib.contextmanager
def memory_cgroup(limit):
    """A memory cgroup below ours, version 1 or 2; gives the file that takes a process in."""
    base, names = None, None
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        words = line.split()
        kind, options = words[words.index("-") + 1], words[-1].split(",")
        if kind == "cgroup" and "memory" in options:
            base, names = pathlib.Path(words[4]), ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]
        elif kind == "cgroup2" and "memory" in (pathlib.Path(words[4]) / "cgroup.subtree_control").read_text().split():
            base, names = pathlib.Path(words[4]), ["memory.max"]
    if base is None or not os.access(base, os.W_OK):
        pytest.skip("no memory cgroup can be made here")
    group = base / f"agent-init-test-{uuid.uuid4()}"
    group.mkdir()
    try:
        for name in names:
            if (group / name).exists():
                (group / name).write_text(str(limit))
        yield group / "cgroup.procs"
    finally:
        group.rmdir()


@needs_root
@pytest.mark.parametrize("hungry", [True, False], ids=["out of memory", "killed otherwise"])
def test_whether_memory_ran_out_is_read_from_the_cgroup(box, folder, hungry):
    deadly = ["allocate", 256] if hungry else ["die", signal.SIGKILL]
    box.script([[records(folder), deadly], done(0)])
    with memory_cgroup(96 << 20) as procs:
        code, _, log = box.run("-c", f"echo $$ > {procs}; exec {box.folder}/agent-init run", init=False, program="/bin/sh")
    (fields, _), = gasps(folder)
    assert code == 0 and fields["signal"] == "SIGKILL"
    if hungry:
        assert fields["cause"] == "was killed by signal 9 (SIGKILL) for want of memory (the pod's limit is 96 MiB)"
        assert fields["memory"] == "ran out" and fields["cause"] in log
    else:
        assert fields["cause"] == "was killed by signal 9 (SIGKILL)" and fields["memory"] == "did not run out"
