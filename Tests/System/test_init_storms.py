"""Whatever comes in thousands or in one instant: no child, no signal and no exit code is lost."""

import os
import signal
import subprocess

import pytest

from init_box import SERVE, done, init_or_not, needs_root, pid_of_init

COUNT = 20_000
ALL_SIGNALS = set(range(1, signal.NSIG)) - {32, 33}  # glibc keeps those two to itself


def target(process, init):
    return pid_of_init(process) if init else process.pid


# MARK: orphans

@init_or_not
def test_20_000_orphans_that_die_in_one_instant_are_all_reaped(box, init):
    code, out, log = box.run("run", "--", box.compile("orphans"), str(COUNT), init=init)
    assert code == 0 and float(out) > 0, log


@init_or_not
def test_orphans_that_die_together_with_the_command_do_not_lose_its_exit_code(box, init):
    orphans = box.compile("orphans")
    for code in (0, 7, 255):
        assert box.run("run", "--", orphans, "3000", str(code), init=init)[0] == code


@needs_root
def test_20_000_orphans_of_the_agent_leave_nothing_and_its_end_is_its_own(box):
    orphans = box.compile("orphans")
    box.script([[["call", [orphans, str(COUNT)]], ["zombies"]] + done(65, "checkpoint_unusable")])
    assert box.run()[0] == 65
    assert box.records("zombies") == [0] and box.records("calls") == [0]


@needs_root
def test_orphans_that_die_together_with_the_loop_do_not_lose_its_end(box):
    orphans = box.compile("orphans")
    box.script([[["become", [orphans, "3000", "75"]]]])
    assert box.run()[0] == 75


# MARK: children that were there before us

@init_or_not
def test_children_that_were_there_before_us_are_taken_in(box, init):
    """A shell becomes agent-init: one child of it has ended long ago, one ends soon, one must be told to."""
    before = ("sh -c 'exit 44' & sh -c 'while [ ! -e $FAKE/go ]; do sleep 0.01; done; exit 45' & early=$!; "
              "sh -c 'trap \"echo tidy > $FAKE/tidy; exit 46\" TERM; touch $FAKE/held; while :; do sleep 0.01; done' & "
              "while [ ! -e $FAKE/held ]; do sleep 0.01; done; ")
    command = "touch $FAKE/go; while kill -0 $1 2>/dev/null; do sleep 0.01; done; exit 5"
    line = f"{before} exec {box.folder}/agent-init run -- sh -c '{command}' x $early"
    program = ["unshare", "--pid", "--fork", "--mount-proc", "sh"] if init else ["sh"]
    code, _, log = box.run(*program[1:], "-c", line, init=False, program=program[0])
    assert code == 5, log
    assert (box.folder / "tidy").read_text() == "tidy\n"


def test_the_agent_takes_in_children_that_were_there_before(box):
    box.script([[["sleep", 0.3]] + done(1, "failed", "as it is")])
    line = f"sh -c 'exit 44' & sh -c 'sleep 0.2; exit 0' & exec {box.folder}/agent-init run"
    assert box.run("-c", line, init=False, program="/bin/sh")[0] == 1
    assert box.message["reason"] == "as it is" and len(box.records("loop_starts")) == 1


# MARK: what was inherited

@init_or_not
def test_signals_inherited_as_blocked_still_come_through_and_the_command_has_none_blocked(box, init):
    show = "grep SigBlk /proc/self/status; trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done"
    process = box.start("run", "--", "bash", "-c", show, init=init,
                        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ALL_SIGNALS))
    assert process.stdout.readline() == b"SigBlk:\t0000000000000000\n" and process.stdout.readline() == b"ready\n"
    os.kill(target(process, init), signal.SIGTERM)
    assert box.finish(process)[0] == 9


@init_or_not
def test_the_agent_under_blocked_and_ignored_signals_is_stopped_as_always(box, init):
    def inherit():
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, ALL_SIGNALS)

    box.script([[["die", 9]], [["on_term", done(143, "stopped", "saved")], ["touch", "ready"], ["until", "never"]]])
    process = box.start("run", init=init, preexec_fn=inherit)
    box.wait_for("ready")
    os.kill(target(process, init), signal.SIGTERM)
    assert box.finish(process)[0] == 143 and box.message["restarts"] == 1
    assert int(box.records("loop_starts")[0]["SigBlk"], 16) == 0


@pytest.mark.parametrize("inherited", [signal.SIG_DFL, signal.SIG_IGN], ids=["default", "ignored"])
def test_no_exit_code_of_200_runs_is_lost_however_sigchld_was_inherited(box, inherited):
    """Started from here, not through unshare(1), which sets SIGCHLD to its default."""
    for number in range(200):
        code = box.run("run", "--", "sh", "-c", f"exit {number}", init=False,
                       preexec_fn=lambda: signal.signal(signal.SIGCHLD, inherited))[0]
        assert code == number


# MARK: signals

@init_or_not
def test_20_000_signals_arrive_each_once_and_no_child_is_lost_meanwhile(box, init):
    """Queued signals (SIGRTMIN+1), so that each counts; between them SIGCHLDs of 2,000 orphans, and others that merge."""
    line = f"{box.compile('orphans')} 2000 & exec {box.compile('signals')} {signal.SIGRTMIN + 1} {COUNT}"
    process = box.start("run", "--", "sh", "-c", line, init=init)
    assert process.stdout.readline() == b"ready\n"
    pid = target(process, init)
    for number in range(COUNT):
        os.kill(pid, signal.SIGRTMIN + 1)
        if number % 3 == 0:
            os.kill(pid, signal.SIGCHLD)
            os.kill(pid, signal.SIGURG)  # the command ignores it
    process.stdout.readline()  # of the orphans: all are reaped
    assert box.finish(process)[0] == 7


@init_or_not
def test_a_storm_of_every_signal_does_not_end_the_agent_and_the_stop_in_it_counts(box, init):
    box.script([[["on_term", done(143, "stopped", "saved")], ["touch", "ready"], ["until", "never"]]],
               [[["ignore_term"]] + SERVE])
    process = box.start("run", init=init)
    box.wait_for("ready")
    pid = target(process, init)
    harmless = sorted(ALL_SIGNALS - {signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGHUP,
                                     signal.SIGQUIT, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGBUS,
                                     signal.SIGABRT, signal.SIGTRAP, signal.SIGSYS})
    for number in range(COUNT):
        os.kill(pid, harmless[number % len(harmless)])
    assert process.poll() is None and len(box.records("loop_starts")) == 1
    os.kill(pid, signal.SIGTERM)
    assert box.finish(process)[0] == 143 and box.message["reason"] == "saved"


@needs_root
def test_20_000_signals_from_inside_that_are_ignored_hold_nothing_up(box):
    """Each would be a line in the log; nobody reads ours, and the orphans must be reaped all the same."""
    orphans = box.compile("orphans")
    flood = f"import os\nfor _ in range({COUNT}): os.kill(1, {signal.SIGRTMIN + 1})"
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    line = f"/usr/bin/python3 -c '{flood}'; {orphans} 500 >$FAKE/reaped || exit 1; exit 6"
    process = box.start("run", "--", "sh", "-c", line, stderr=writer)
    assert process.wait(timeout=30) == 6
    os.close(reader)
    os.close(writer)


def test_the_storm_is_told_in_few_lines(box):
    if os.getuid() != 0:
        pytest.skip("a pid namespace needs root")
    flood = f"import os\nfor _ in range({COUNT}): os.kill(1, {signal.SIGRTMIN + 1})"
    code, _, log = box.run("run", "--", "/usr/bin/python3", "-c", flood)
    lines = [line for line in log.splitlines() if "inside the container is ignored" in line]
    assert code == 0 and 1 <= len(lines) <= 20
