"""Signals of faults, and the time that what is left has to clean up when the main process has ended."""

import contextlib
import os
import pathlib
import platform
import signal

import pytest

from init_box import done, init_or_not, needs_root, pid_of_init, until

FAULTS = [signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV, signal.SIGSYS]
# An instruction that is none: ud2, udf #0.
WRONG = {"x86_64": b"\x0f\x0b", "aarch64": b"\0\0\0\0"}[platform.machine()]


def target(process, init):
    return pid_of_init(process) if init else process.pid


# MARK: faults

@needs_root
@pytest.mark.parametrize("number", FAULTS, ids=lambda number: number.name)
def test_the_signal_of_a_fault_from_inside_changes_nothing(box, number):
    code, _, log = box.run("run", "--", "sh", "-c", f"kill -{int(number)} 1; sleep 0.2; exit 5")
    assert code == 5 and f"{number.name} from process 2 inside the container is ignored" in log


@needs_root
@init_or_not
@pytest.mark.parametrize("agent", [False, True], ids=["run COMMAND", "run"])
def test_a_fault_of_its_own_ends_it_though_such_signals_are_passed_on(box, init, agent):
    """The code that agent-init stands in is written over while it waits; it runs on at the next signal."""
    box.script([[["touch", "ready"], ["until", "never"]]])
    command = ["--", "sh", "-c", "echo [] > $FAKE/ready; while [ ! -e $FAKE/go ]; do sleep 0.02; done"]
    process = box.start("run", *([] if agent else command), init=init)
    box.wait_for("ready")
    pid = target(process, init)
    until(lambda: len(where(pid)) == 9, "its wait")
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        memory.seek(int(where(pid)[8], 16))
        memory.write(WRONG)
    os.kill(pid, signal.SIGUSR1)
    # unshare dies of what its child has died of.
    try:
        assert process.wait(timeout=20) == -signal.SIGILL
    finally:
        (box.folder / "go").touch()
        for start in [] if init else box.records("loop_starts") + box.records("gateway_starts"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(start["pid"], signal.SIGKILL)


def where(pid):
    """The call that a process waits in, its six arguments, and the stack and program pointers."""
    return pathlib.Path(f"/proc/{pid}/syscall").read_text().split()


# MARK: what is left

# Says "held", and takes 3 s to clean up after SIGTERM.
SLOW = ("(trap 'sleep 3; echo tidy > $FAKE/tidy; exit' TERM; touch $FAKE/held; while :; do sleep 0.05; done) & "
        "while [ ! -e $FAKE/held ]; do sleep 0.05; done; ")
# Cleans up at the second SIGTERM only.
STUBBORN = ("(trap 'trap \"echo tidy > $FAKE/tidy; exit\" TERM; echo [] > $FAKE/first' TERM; touch $FAKE/held; "
            "while :; do sleep 0.05; done) & while [ ! -e $FAKE/held ]; do sleep 0.05; done; ")


def in_background(line):
    """It alone, without the log of the loop, whose end it would hold up."""
    return "exec >/dev/null 2>&1; " + line.partition(" & while")[0]


@init_or_not
def test_what_is_left_after_a_stop_has_the_rest_of_the_grace(box, init):
    """A twelfth of it, as it once was, would be a second."""
    process = box.start("run", "--grace", "12", "--", "bash", "-c", f"{SLOW} trap 'exit 7' TERM; echo ready; "
                        "while :; do sleep 0.05; done", init=init)
    assert process.stdout.readline() == b"ready\n"
    os.kill(target(process, init), signal.SIGTERM)
    code, _, log = box.finish(process)
    assert code == 7 and (box.folder / "tidy").exists() and "SIGKILL to" not in log, log


@init_or_not
def test_what_is_left_by_a_command_that_ended_by_itself_has_the_grace_from_then_on(box, init):
    code, _, log = box.run("run", "--grace", "12", "--", "bash", "-c", f"{SLOW} exit 7", init=init)
    assert code == 7 and (box.folder / "tidy").exists() and "SIGKILL to" not in log, log


@init_or_not
def test_what_is_left_of_an_agent_that_is_stopped_has_the_rest_of_the_grace(box, init):
    box.script([[["background", in_background(SLOW)], ["until", "held"],
                 ["on_term", done(143, "stopped", "saved")], ["touch", "ready"], ["until", "never"]]])
    process = box.start("run", init=init, env={"AGENT_GRACE_SECONDS": "12"})
    box.wait_for("ready")
    os.kill(target(process, init), signal.SIGTERM)
    code, _, log = box.finish(process)
    assert code == 143 and (box.folder / "tidy").exists() and "SIGKILL to" not in log, log


@init_or_not
def test_what_is_left_is_told_though_its_parents_end_of_the_same_signal_before_it(box, init):
    pair = "sh -c 'sh -c \"trap \\\"echo [] >> $FAKE/tidy; exit\\\" TERM; echo [] >> $FAKE/held; while :; do sleep 0.05; done\" & wait' &"
    line = "; ".join([f"for i in $(seq 20); do {pair} done"]
                     + ["while [ $(wc -l < $FAKE/held) != 20 ]; do sleep 0.05; done", "exit 0"])
    code, _, log = box.run("run", "--grace", "24", "--", "bash", "-c", f"touch $FAKE/held; {line}", init=init)
    assert code == 0 and "SIGKILL to" not in log and len(box.records("tidy")) == 20, log


@init_or_not
@pytest.mark.parametrize("agent", [False, True], ids=["run COMMAND", "run"])
def test_a_sigterm_while_what_is_left_cleans_up_reaches_it(box, init, agent):
    if agent:
        box.script([[["background", in_background(STUBBORN)], ["until", "held"]] + done(0)])
        process = box.start("run", init=init, env={"AGENT_GRACE_SECONDS": "3600"})
    else:
        process = box.start("run", "--grace", "3600", "--", "bash", "-c", f"{STUBBORN} exit 0", init=init)
    box.wait_for("first")
    os.kill(target(process, init), signal.SIGTERM)
    code, _, log = box.finish(process)
    assert code == 0 and (box.folder / "tidy").exists() and "SIGKILL to" not in log, log
    assert "SIGTERM: passed on to what is left" in log


@init_or_not
def test_any_other_signal_while_what_is_left_cleans_up_reaches_it_but_none_that_stops_it(box, init):
    line = ("(trap 'echo [] > $FAKE/first' TERM; trap 'echo tidy > $FAKE/tidy; exit' USR1; touch $FAKE/held; "
            "while :; do sleep 0.05; done) & while [ ! -e $FAKE/held ]; do sleep 0.05; done; exit 0")
    process = box.start("run", "--grace", "3600", "--", "bash", "-c", line, init=init)
    box.wait_for("first")
    for number in (signal.SIGTSTP, signal.SIGTTIN, signal.SIGUSR1):
        os.kill(target(process, init), number)
    code, _, log = box.finish(process)
    assert code == 0 and (box.folder / "tidy").exists() and "SIGKILL to" not in log, log


@needs_root
def test_a_signal_from_inside_does_not_reach_what_is_left(box):
    line = ("(trap 'kill 1; sleep 0.3; trap \"touch $FAKE/told\" TERM; sleep 0.3; exit' TERM; touch $FAKE/held; "
            "while :; do sleep 0.05; done) & while [ ! -e $FAKE/held ]; do sleep 0.05; done; exit 0")
    code, _, log = box.run("run", "--grace", "3600", "--", "bash", "-c", line)
    assert code == 0 and "inside the container is ignored" in log and not (box.folder / "told").exists()


def test_a_signal_for_what_is_left_is_rewritten_as_one_for_the_command(box):
    line = ("(trap 'echo [] > $FAKE/first' TERM; trap 'echo tidy > $FAKE/tidy; exit' USR2; touch $FAKE/held; "
            "while :; do sleep 0.05; done) & while [ ! -e $FAKE/held ]; do sleep 0.05; done; exit 0")
    process = box.start("run", "--grace", "3600", "--rewrite", "USR1:USR2", "--", "bash", "-c", line, init=False)
    box.wait_for("first")
    process.send_signal(signal.SIGUSR1)
    assert box.finish(process)[0] == 0 and (box.folder / "tidy").exists()
