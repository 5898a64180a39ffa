"""The command's process that a janitor in waiting makes ahead: it has put on the jail, and waits for what to execute."""
import os
import pathlib
import pty
import shutil
import signal

import pytest

import process_tree
from escapes import PROCESSES
from job import eventually
from test_jail_standby import ENDS, HANGS, Waiting, close

NAME = "agent-jail next"
WHO = "echo $$ >> ../home/ran"


def children(waiting):
    return [pid for pid, (parent, name, _) in process_tree.processes().items()
            if parent == waiting.process.pid and name == NAME]


def ready(workspace, **expected):
    waiting = Waiting(workspace, **expected)
    [child] = children(waiting)
    return waiting, child


def state(pid):
    return process_tree.processes().get(pid, (0, "", "gone"))[2]


def ran(workspace):
    return [int(pid) for pid in (workspace.home / "ran").read_text().split()]


def test_the_command_is_the_process_that_waited(workspace):
    waiting, child = ready(workspace)
    done = waiting.run(WHO)
    assert (done.code, done.report["exited"], done.report["killed"]) == (0, "0", "0"), done
    assert ran(workspace) == [child]


# MARK: The command finds what it finds in a process that was made for it

LOOK = """
import ctypes, os, stat
print(open('/proc/self/limits').read())
print(os.getcwd(), sorted(os.environ.items()), open('/proc/self/cmdline').read())
print([os.getpid() in (os.getsid(0), os.getpgid(0)), os.getsid(0) == os.getpgid(0), os.nice(0)])
print(open('/proc/self/oom_score_adj').read(), os.sched_getscheduler(0), os.sched_getaffinity(0))
death = ctypes.c_int()
ctypes.CDLL(None).prctl(2, ctypes.byref(death), 0, 0, 0)
print(death.value, ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
fds = [int(fd) for fd in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + fd)]
print([(fd, stat.S_IFMT(os.fstat(fd).st_mode), os.readlink(f'/proc/self/fd/{fd}').split(':')[0]) for fd in sorted(fds)])
"""
# Whose number it is, and what changes from one run to the next.
OWN = ("Pid", "Tgid", "Ngid", "PPid", "NStgid", "NSpid", "NSpgid", "NSsid", "Vm", "Rss", "voluntary", "nonvoluntary", "SigQ",
       "Huge")


@pytest.mark.parametrize("asked", [{}, {"cwd": "sub"}, {"extra": ["--open-files", "99"]}, {"environment": {}}],
                         ids=["as expected", "in another folder", "with other limits", "without an environment"])
def test_it_has_the_same_limits_signals_session_descriptors_folder_and_environment(workspace, asked):
    (workspace.project / "sub").mkdir()
    shutil.chown(workspace.project / "sub", workspace.uid, workspace.uid)
    if "cwd" in asked:
        asked = {"cwd": workspace.project / asked["cwd"]}
    for command in (["/usr/bin/python3", "-IS", "-c", LOOK], ["/usr/bin/cat", "/proc/self/status"]):
        ahead = ready(workspace)[0].run(command, **asked)
        cold_asked = {("options" if name == "extra" else name): value for name, value in asked.items()}
        cold = workspace.run(command, **cold_asked)
        assert ahead.code == cold.code == 0, (ahead, cold)
        assert [line for line in ahead.out.splitlines() if not line.startswith(OWN)] == [
            line for line in cold.out.splitlines() if not line.startswith(OWN)]


def failures(workspace):
    (workspace.project / "plain").write_text("echo no")
    (workspace.project / "closed").write_text("#!/bin/sh\n")
    (workspace.project / "broken").write_text("#!/no/such/interpreter\n")
    for name, mode in (("plain", 0o755), ("closed", 0o644), ("broken", 0o755)):
        (workspace.project / name).chmod(mode)
    return {"ENOENT": ["./absent"], "not in PATH": ["no-such-program"], "EACCES": ["./closed"], "ENOEXEC": ["./plain"],
            "no interpreter": ["./broken"], "outside": [str(workspace.outside / "secret")], "a folder": ["/usr"],
            "no name": [""]}


@pytest.mark.parametrize("case", [
    "ENOENT", "not in PATH", "EACCES", "ENOEXEC", "no interpreter", "outside", "a folder", "no name"])
def test_a_program_that_cannot_be_executed_fails_as_in_a_process_that_was_made_for_it(workspace, case):
    command = failures(workspace)[case]
    waiting, child = ready(workspace)
    ahead, cold = waiting.run(command), workspace.run(command)
    assert ahead.code in (126, 127) and child not in process_tree.processes()
    kept = ("not_started", "stage", "errno", "message")
    assert [ahead.code, ahead.err, *(ahead.report.get(name) for name in kept)] == [
        cold.code, cold.err, *(cold.report.get(name) for name in kept)]


# MARK: When it is of no use, the command's process is made for it

@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP], ids=lambda number: number.name)
def test_if_it_ended_or_was_stopped_the_command_runs_in_another_and_once(workspace, number):
    waiting, child = ready(workspace)
    os.kill(child, number)
    eventually("it has", lambda: state(child) in "ZT")
    done = waiting.run(f"{WHO}; cat /proc/{child}/stat")
    assert done.report["exited"] == "1" and done.report["killed"] == "0", done
    assert len(ran(workspace)) == 1 and child not in ran(workspace) and child not in process_tree.processes()


def test_one_that_is_stopped_with_its_command_ends_at_the_time_limit(workspace):
    waiting, child = ready(workspace)
    # To the janitor, the same as one that was stopped between its last look and the command.
    done = waiting.run("kill -STOP $$; echo went on", timeout_ms=200, grace_ms=5000)
    assert done.code == 124 and child not in process_tree.processes(), done


@pytest.mark.parametrize("words, asked", [
    ([], {"profile": "strategic"}), ([], {"extra": ["--file-size-mib", "7"]}), (["x"] * 5000, {})],
    ids=["another profile", "another limit", "too many words"])
def test_another_request_than_expected_runs_in_another_process(workspace, words, asked):
    waiting, child = ready(workspace)
    done = waiting.run(["bash", "-c", WHO, *words], **asked)
    assert done.code == 0 and len(ran(workspace)) == 1, done
    assert child not in ran(workspace) and child not in process_tree.processes()


def test_a_command_with_a_terminal_runs_in_another_process_and_has_it(workspace):
    waiting, child = ready(workspace)
    screen, terminal = pty.openpty()
    report, their_report = os.pipe()
    their_control, control = os.pipe()
    script = f"{WHO}; exec 3<>/dev/tty && echo has it >&3"
    waiting.give(workspace.arguments(["bash", "-c", script], extra=["--terminal-fd", "0"]),
                 [terminal, terminal, terminal, their_report, their_control])
    assert waiting.process.wait(timeout=HANGS) == 0
    assert b"has it" in os.read(screen, 1000)
    assert len(ran(workspace)) == 1 and child not in ran(workspace) and child not in process_tree.processes()
    for number in (screen, terminal, report, their_report, control, their_control):
        os.close(number)


# MARK: Its end

@pytest.mark.parametrize("end", ENDS)
def test_it_ends_with_its_janitor(workspace, end):
    waiting, child = ready(workspace)
    ENDS[end](waiting)
    assert waiting.process.wait(timeout=HANGS) == 0
    # Reaped by the janitor: nobody else would have to be there.
    assert child not in process_tree.processes()


def test_it_ends_with_a_janitor_that_is_killed_before_its_command_and_after(workspace):
    waiting, child = ready(workspace)
    waiting.process.kill()
    eventually("it has ended", lambda: state(child) in ("Z", "gone"))
    waiting, child = ready(workspace)
    control, our_control = os.pipe()
    with open("/dev/null", "r+b") as null:
        waiting.give(workspace.arguments(["sleep", "1000"]), [null.fileno()] * 4 + [control])
    eventually("it is the command", lambda: process_tree.processes()[child][1] == "sleep")
    waiting.process.kill()
    eventually("the command has ended", lambda: state(child) in ("Z", "gone"))
    for number in (control, our_control):
        os.close(number)


def test_fifty_in_a_row_leave_no_process(workspace):
    def ours():
        # Where we adopt orphans, what ended with its janitor (the witness of its domain) comes to us, dead.
        return {pid for pid, (parent, _, state) in process_tree.processes().items()
                if parent == os.getpid() and state not in "ZX"}

    before = ours()
    for _ in range(50):
        waiting, _ = ready(workspace)
        assert waiting.run(["true"]).code == 0
    waiting, _ = ready(workspace)
    close(waiting)
    waiting.process.wait(timeout=HANGS)
    assert ours() <= before
    assert not {name for _, name in process_tree.descendants(os.getpid())} & {"agent-jail", NAME}


# MARK: What it is while it waits

@pytest.mark.skipif(os.getuid() != 0, reason="only root looks into a process that is not dumpable")
def test_while_it_waits_it_is_in_the_jail_and_has_nothing_of_its_janitor(workspace):
    waiting, child = ready(workspace)
    process = pathlib.Path(f"/proc/{child}")
    # The janitor is ready when it has the filter's listener; the child gives its own up after that.
    eventually("it waits", lambda: state(child) == "S")
    assert (process / "environ").read_bytes() == b""
    kinds = ["/dev/null"] * 3 + ["pipe", "socket"]
    assert sorted(os.readlink(link).split(":")[0] for link in (process / "fd").iterdir()) == kinds
    fields = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines())
    assert (fields["NoNewPrivs"], fields["Seccomp"], int(fields["CapPrm"], 16)) == ("1", "2", 0)
    assert int(fields["SigBlk"], 16) == int(fields["SigIgn"], 16) == 0
    assert (process / "stat").stat().st_uid == 0, "not dumpable: its files in /proc are root's"
    assert (process / "oom_score_adj").read_text() == "1000\n"


def test_no_command_reaches_it(workspace):
    waiting, child = ready(workspace)
    facts = f"export VICTIM={child}\n"
    assert [name for name, script in PROCESSES.items() if workspace.run(facts + script).code == 0] == []
    into = "for fd in /proc/$VICTIM/fd/*; do cat < $fd; echo x > $fd; done"
    assert workspace.run(facts + into).out == ""
    done = waiting.run(WHO)
    assert done.code == 0 and ran(workspace) == [child]
