"""PID 1 when it is stopped, what it leaves behind, and where it has to start."""

import os
import signal
import time

import pytest

from init_box import done, init_or_not, needs_root, pid_of_init


# MARK: SIGTERM

SAVING = [["on_term", [["sleep", 0.2], ["touch", "saved"], ["out", "saved\n"]] + done(143, "stopped", "saved at 41")],
          ["touch", "ready"], ["until", "never"]]


@init_or_not
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_lets_the_loop_save_then_the_gateway_ship_and_ends_with_143(box, init, number):
    box.script([SAVING])
    process = box.start("run", init=init)
    box.wait_for("ready")
    target = pid_of_init(process) if init else process.pid
    os.kill(target, number)
    os.kill(target, number)
    code, _, log = box.finish(process)
    assert code == 143 and box.shipped("stdout") == "saved\n"
    assert box.message["outcome"] == "stopped" and box.message["reason"] == "saved at 41"
    stages = ["stopping within 3 s", "SIGTERM to the loop; SIGKILL in 2000 ms", "the loop has ended; the gateway has",
              "stopped, exit code 143"]
    places = [log.find(stage) for stage in stages]
    assert -1 not in places and places == sorted(places)


@init_or_not
def test_a_loop_that_ignores_sigterm_is_killed_within_the_grace(box, init):
    box.script([[["ignore_term"], ["out", "kept\n"], ["touch", "ready"], ["until", "never"]]])
    process = box.start("run", init=init, env={"AGENT_GRACE_SECONDS": "6"})
    box.wait_for("ready")
    os.kill(pid_of_init(process) if init else process.pid, signal.SIGTERM)
    code, _, log = box.finish(process, timeout=6)  # as the kubelet would
    assert code == 143 and "the loop has not ended" in log and box.shipped("stdout") == "kept\n"
    assert "was killed by signal 9" in box.message["reason"] and box.message["exit_code"] == 143


@needs_root
def test_nothing_that_ignores_sigterm_outlives_the_grace(box):
    hold = "trap '' TERM; touch $FAKE/held; while :; do sleep 1; done"
    box.script([[["ignore_term"], ["background", hold], ["until", "held"], ["touch", "ready"], ["until", "never"]]],
               [[["ignore_term"], ["until", "never"]]])
    process = box.start("run", env={"AGENT_GRACE_SECONDS": "6"})
    box.wait_for("ready")
    os.kill(pid_of_init(process), signal.SIGTERM)
    code, _, log = box.finish(process, timeout=6)  # as the kubelet would
    assert code == 143 and "SIGKILL to" in log


def test_sigterm_while_the_loop_waits_for_its_restart_ends_at_once(box):
    box.script([[["die", 9]]])
    process = box.start("run", init=False)
    box.wait_for("loop_starts", 5)
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert box.finish(process)[0] == 143 and box.message["outcome"] == "stopped"


def test_a_loop_that_exits_with_0_and_no_word_when_it_is_told_to_stop_has_not_completed(box):
    box.script([[["on_term", [["exit", 0]]], ["touch", "ready"], ["until", "never"]]])
    process = box.start("run", init=False)
    box.wait_for("ready")
    process.send_signal(signal.SIGTERM)
    assert box.finish(process)[0] == 143
    assert box.message["outcome"] == "stopped" and "told to stop, the loop exited with 0" in box.message["reason"]


def test_a_loop_that_completes_just_when_it_is_stopped_has_completed(box):
    box.script([[["on_term", done(0)], ["touch", "ready"], ["until", "never"]]])
    process = box.start("run", init=False)
    box.wait_for("ready")
    process.send_signal(signal.SIGTERM)
    assert box.finish(process)[0] == 0 and box.message["outcome"] == "completed"


@needs_root
@pytest.mark.parametrize("user", [False, True], ids=["root", "UID 1000"])
@pytest.mark.parametrize("step", ["signal_init", "queue_init"])
def test_a_signal_from_inside_changes_nothing(box, step, user):
    """`kill 1`, and rt_sigqueueinfo(2) with a sender forged to look like one from outside."""
    box.script([[[step, 15], [step, 2], ["sleep", 0.5]] + done(0)])
    code, _, log = box.run(user=user)
    assert code == 0 and "SIGTERM from process" in log and "inside the container is ignored" in log


def test_nohup_holds(box):
    box.script([[["touch", "ready"], ["until", "go"]] + done(0)])
    process = box.start("run", init=False, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    box.wait_for("ready")
    process.send_signal(signal.SIGHUP)
    (box.folder / "go").touch()
    assert box.finish(process)[0] == 0
    command = box.start("run", "sh", "-c", "kill -HUP $$; exit 4", init=False,
                        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert box.finish(command)[0] == 4


# MARK: reaping and what is left

@needs_root
def test_two_thousand_orphans_are_reaped(box):
    box.script([[["orphans", 2000], ["sleep", 3], ["zombies"]] + done(0)])
    assert box.run()[0] == 0
    assert box.records("zombies") == [0]


@init_or_not
def test_what_is_left_running_gets_sigterm_and_time_to_clean_up(box, init):
    tidy = "trap 'echo tidy > $FAKE/tidy; exit' TERM; touch $FAKE/held; while :; do sleep 0.01; done"
    box.script([[["background", tidy], ["until", "held"]] + done(0)])
    assert box.run(init=init)[0] == 0
    assert (box.folder / "tidy").read_text() == "tidy\n"


@needs_root
def test_pid_1_is_closed_to_its_own_user(box):
    steps = [["read", f"/proc/1/{name}"] for name in ("environ", "mem", "maps")]
    box.script([steps + [["read", "/proc/self/environ"]] + done(0)])
    assert box.run(user=True)[0] == 0
    assert box.records("read")[:3] == ["Permission denied"] * 3 and box.records("read")[3].endswith("bytes")


@needs_root
def test_the_whole_tree_runs_as_uid_1000(box):
    box.script([[["die", 9]], [["out", "hello\n"]] + done(0)])
    assert box.run(user=True)[0] == 0 and box.shipped("stdout") == "hello\n"


# MARK: a start in bad surroundings

@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_descriptors_get_dev_null_and_no_pipe_of_ours(box, closed):
    box.script([[["until", "gateway_starts"]] + done(0)])
    assert box.run("-c", f"exec {box.folder}/agent-init run {closed}", init=False, program="/bin/sh")[0] == 0
    descriptors = box.records("gateway_starts")[0]["descriptors"]
    assert descriptors["0"] == "/dev/null"
    # Its stderr passes through PID 1 in any case.
    assert (descriptors["1"] == "/dev/null") == (">&-" in closed.split())


@init_or_not
def test_a_stdout_and_stderr_whose_reader_has_gone_change_nothing(box, init):
    box.script([done(0)])
    reader, writer = os.pipe()
    os.close(reader)
    process = box.start("run", init=init, stdout=writer, stderr=writer)
    os.close(writer)
    assert box.finish(process)[0] == 0 and box.message["outcome"] == "completed"


def test_a_stderr_that_nobody_reads_does_not_hold_pid_1_up(box):
    box.script([[["die", 9]], done(0)])
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    process = box.start("run", init=False, stderr=writer)
    assert box.finish(process)[0] == 0
    os.close(reader)
    os.close(writer)


@needs_root
@pytest.mark.parametrize("shell", [True, False], ids=["PID 1", "subreaper"])
def test_without_proc_it_works_or_says_what_is_missing(box, shell):
    """The children here are /bin/sh: Python needs no /proc, but the stand-in reads it."""
    (box.folder / "agentd").write_text("#!/bin/sh\n[ $1 = loop ] && exit 75\ncat <&6 >&2\n")
    line = f"umount -l /proc; {'exec' if shell else ''} {box.folder}/agent-init run; echo $?"
    outer = ["unshare", "--mount"] + (["--pid", "--fork"] if shell else [])
    code, out, log = box.run(*outer[1:], "/bin/sh", "-c", line, init=False, program=outer[0])
    assert (code == 75 if shell else out == "75\n"), log
    assert box.message["outcome"] == "try_again"


def test_a_missing_agentd_is_a_clean_error(box):
    (box.folder / "agentd").unlink()
    for subcommand in ("run", "status", "exec"):
        code, _, log = box.run(subcommand, init=False)
        assert code == 70 and "agentd cannot be run (No such file or directory)" in log and log.count("\n") == 1


def test_an_agentd_that_can_never_be_started_is_not_tried_again(box):
    (box.folder / "agentd").write_bytes(b"\x7fELF garbage")
    (box.folder / "agentd").chmod(0o755)
    code, _, log = box.run(init=False)
    reason = f"the loop could not be started (posix_spawn {box.folder}/agentd: Exec format error)"
    assert code == 70 and (box.message["reason"], box.message["restarts"]) == (reason, 0)
    assert log == f"agent-init: internal_error, exit code 70: {reason}\n"


@needs_root
def test_no_process_to_be_had_is_a_clean_error(box):
    box.script([done(0)])
    # A user who has no other process: the limit counts all of one's processes on the machine.
    nobody_else = ["setpriv", "--reuid=64321", "--regid=64321", "--clear-groups", "--"]
    code, _, log = box.run("--nproc=1:1", *nobody_else, str(box.folder / "agent-init"), "run", init=False,
                           program="prlimit")
    assert code == 70 and "Resource temporarily unavailable" in log, log


@pytest.mark.parametrize("name, value", [
    ("AGENT_GRACE_SECONDS", "0"), ("AGENT_GRACE_SECONDS", "60s"), ("AGENT_GRACE_SECONDS", "3601"),
    ("AGENT_WATCHDOG_SECONDS", "9"), ("AGENT_WATCHDOG_SECONDS", "-1")])
def test_a_malformed_setting_is_78_with_its_name(box, name, value):
    box.script([done(0)])
    code, _, log = box.run(init=False, env={name: value})
    assert code == 78 and name in log and f'"{value}"' in log and "accepted: " in log
    assert box.records("loop_starts") == []
