"""PID 1 over the gateway and the loop: descriptors, restarts, how a run ends and what is recorded of it."""

import json
import os
import signal
import time

import pytest

from init_box import SERVE, done, init_or_not, needs_root


# MARK: the descriptor contract

@init_or_not
def test_loop_and_gateway_get_their_flags_and_descriptors_and_nothing_else(box, init):
    box.script([[["until", "gateway_starts"]] + done(0)])
    leak = os.open("/etc/hostname", os.O_RDONLY)
    assert box.run(init=init, env={"SECRET_SETTING": "x y"}, pass_fds=[leak])[0] == 0
    os.close(leak)
    loop, gateway = box.records("loop_starts")[0], box.records("gateway_starts")[0]
    assert loop["argv"] == "loop --status-fd 3 --commands-fd 4 --live-fd 5".split()
    assert gateway["argv"] == ("gateway --status-fd 3 --commands-fd 4 --live-fd 5 "
                               "--loop-stdout-fd 6 --loop-stderr-fd 7").split()
    held, other = loop["descriptors"], gateway["descriptors"]
    assert held["0"] == other["0"] == "/dev/null"
    assert [other["4"], other["5"]] == [held["4"], held["5"]]
    assert all(held[n].startswith("pipe:") for n in "12345")
    # The log of both passes through PID 1, which keeps the end of it.
    pipes = [held["1"], held["2"], held["3"], other["2"], other["3"], other["6"], other["7"]]
    assert len(set(pipes)) == 7 and all(pipe.startswith("pipe:") for pipe in pipes)
    # What listing the folder itself opens comes after the contract's.
    assert not [n for n, link in {**held, **other}.items() if link == "/etc/hostname"]
    assert loop["nonblocking"] == [5] and gateway["nonblocking"] == []
    assert loop["environment"]["SECRET_SETTING"] == "x y"


@init_or_not
def test_children_start_with_nothing_blocked_or_ignored_in_a_session_of_their_own(box, init):
    box.script([[["until", "gateway_starts"]] + done(0)])
    box.run(init=init, preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    for start in box.records("loop_starts") + box.records("gateway_starts"):
        # Python itself ignores SIGPIPE (13) and SIGXFSZ (25); posix_spawn(3) of glibc its own two (32 and 33).
        assert int(start["SigBlk"], 16) == 0 and int(start["SigIgn"], 16) & ~(0b11 << 31 | 1 << 12 | 1 << 24) == 0
        assert start["session"] == start["pid"] and start["NoNewPrivs"] == "1"


# MARK: how a run ends

@init_or_not
@pytest.mark.parametrize("code", [0, 1, 64, 65, 75, 77, 78, 143])
def test_a_final_exit_code_of_the_loop_is_the_containers(box, init, code):
    outcome = "some_outcome" if code else "completed"
    box.script([done(code, outcome, "because \\\"so\\\"")])
    assert box.run(init=init)[0] == code
    assert len(box.records("loop_starts")) == 1
    assert box.message == {"outcome": outcome, "exit_code": code, "reason": 'because "so"', "phase": "VERIFY",
                           "step": 9, "seq": 41, "restarts": 0}


def test_a_final_code_without_a_word_gets_one_from_pid_1_and_the_last_line_that_was_written(box):
    box.script([[["err", "it was\nthe disk\n\n"], ["exit", 78]]])
    assert box.run(init=False)[0] == 78
    assert box.message["outcome"] == "configuration"
    assert box.message["reason"] == "the loop exited with 78 and sent no reason; the last it wrote: the disk"


def test_last_words_that_do_not_fit_the_exit_code_are_not_believed(box):
    box.script([done(0)[:1] + [["exit", 1]]])
    assert box.run(init=False)[0] == 1
    assert box.message["outcome"] == "failed"


@init_or_not
@pytest.mark.parametrize("end", [
    [["exit", 0]], done(0, "failed"), done(0, "completed", ""), done(1, "completed")[:1] + [["exit", 0]],
    [["status", "phase=VERIFY\tstep=9\tseq=41"], ["exit", 0]],
], ids=["no word", "another outcome", "no reason", "another code", "no end"])
def test_a_loop_that_exits_with_0_and_does_not_say_that_it_is_completed_is_an_internal_error(box, init, end):
    box.script([end])
    code, _, log = box.run(init=init)
    assert code == 70 and len(box.records("loop_starts")) == 6
    assert (box.message["outcome"], box.message["exit_code"]) == ("internal_error", 70)
    assert "the loop exited with 0 without saying that it is done 6 times" in box.message["reason"]
    assert "its restart budget is spent" in box.message["reason"]


def test_only_exit_code_0_is_called_completed(box):
    box.script([done(1, "completed")])
    assert box.run(init=False)[0] == 1 and box.message["outcome"] == "failed"


def test_a_loop_that_exits_with_0_once_and_is_completed_the_next_time_is_completed(box):
    box.script([[["exit", 0]], done(0)])
    assert box.run(init=False)[0] == 0
    assert (box.message["outcome"], box.message["restarts"]) == ("completed", 1)


@pytest.mark.parametrize("role", ["loop", "gateway"])
def test_a_program_that_cannot_be_loaded_ends_the_run_at_once_with_the_loaders_own_words(box, role):
    words = "agentd: error while loading shared libraries: libx.so.1: cannot open shared object file"
    unloadable = [["err", f"first a warning\n{words}\n"], ["exit", 127]]
    waiting = [["on_term", done(143, "stopped", "saved")], ["until", "never"]]
    box.script([unloadable] if role == "loop" else [waiting], [unloadable] if role == "gateway" else [SERVE])
    code, _, log = box.run(init=False)
    assert code == 70 and len(box.records(f"{role}_starts")) == 1
    assert box.message["reason"] == f"agentd cannot be loaded: {words}"
    assert log == f"agent-init: internal_error, exit code 70: agentd cannot be loaded: {words}\n"


def test_a_gateway_that_does_nothing_ends_the_run_with_70_after_the_loop_has_saved(box):
    box.script([[["on_term", [["touch", "saved"]] + done(143, "stopped", "saved")], ["until", "x"]]], [[["exit", 0]]])
    assert box.run(init=False)[0] == 70 and box.records("saved")
    assert "the gateway exited with 0 without saying that it is done 6 times" in box.message["reason"]


def test_a_gateway_that_does_nothing_is_told_of_when_the_loop_is_completed_first(box):
    box.script([done(0)], [[["until", "loop_starts"], ["exit", 0]]])
    code, _, log = box.run(init=False)
    assert code == 0 and "the gateway exited with 0 without saying that it is done" in log


@init_or_not
def test_the_gateway_ships_what_is_left_before_the_run_ends(box, init):
    box.script([[["out", "x" * 60000], ["err", "last words\n"], ["live", "{}\n"]] + done(0)],
               [[["sleep", 0.5]] + SERVE])
    assert box.run(init=init)[0] == 0
    assert len(box.shipped("stdout")) == 60000 and box.shipped("stderr") == "last words\n"
    assert box.shipped("live") == "{}\n"
    assert "EOF" in box.records("gateway_signals")


def test_a_gateway_that_died_is_started_for_the_last_shipment(box):
    box.script([[["until", "gateway_starts"], ["sleep", 0.2], ["out", "precious\n"]] + done(0)],
               [[["die", 9]], [["die", 9]], SERVE])
    assert box.run(init=False)[0] == 0
    assert box.shipped("stdout") == "precious\n"


def test_a_gateway_that_does_not_end_is_ended(box):
    box.script([[["until", "gateway_starts"], ["sleep", 0.3]] + done(0)], [[["ignore_term"], ["until", "never"]]])
    code, _, log = box.run(init=False)
    assert code == 0 and "the gateway has not ended in time" in log and "SIGKILL to 1 processes" in log


# MARK: restarts

@init_or_not
def test_a_killed_loop_is_restarted_and_goes_on(box, init):
    box.script([[["out", "one\n"], ["status", "phase=TACTICAL\tstep=3\tseq=7"], ["die", 9]],
                [["out", "two\n"]] + done(0)])
    code, _, log = box.run(init=init)
    assert code == 0 and len(box.records("loop_starts")) == 2 and box.message["restarts"] == 1
    assert box.shipped("stdout") == "one\ntwo\n"
    assert "the loop was killed by signal 9 (SIGKILL); starting it again in 100 ms (restart 1)" in log


@pytest.mark.parametrize("last", [["exit", 70], ["exit", 3], ["exit", 255], ["die", 15], ["die", 11]])
def test_any_other_end_is_a_restart(box, last):
    box.script([[last], done(0)])
    assert box.run(init=False)[0] == 0 and len(box.records("loop_starts")) == 2


@init_or_not
def test_a_crash_loop_ends_with_70_and_says_why(box, init):
    box.script([[["status", "phase=STRATEGIC\tstep=2\tseq=5"], ["err", "boom\n"], ["die", 9]]])
    assert box.run(init=init)[0] == 70
    assert len(box.records("loop_starts")) == 6
    assert box.message == {
        "outcome": "internal_error", "exit_code": 70, "phase": "STRATEGIC", "step": 2, "seq": 5, "restarts": 5,
        "reason": "the loop was killed by signal 9 (SIGKILL) 6 times; its restart budget is spent"}
    assert box.shipped("stderr") == "boom\n" * 6
    at = [start["at"] for start in box.records("loop_starts")]
    assert all(later - earlier > 0.1 * 2 ** n for n, (earlier, later) in enumerate(zip(at, at[1:])))


def test_a_reason_that_stays_the_same_is_told_at_the_first_restart_and_at_the_end(box):
    reason = "the spool cannot be opened"
    end = f"end\toutcome=gateway\texit=70\treason={reason}\tphase=\tstep=0\tseq=0"
    box.script([[["on_term", done(143, "stopped", "saved")], ["until", "x"]]], [[["status", end], ["exit", 70]]])
    code, _, log = box.run(init=False)
    assert code == 70 and log.count(reason) == 2
    lines = log.splitlines()
    assert lines[0] == f"agent-init: the gateway exited with 70: {reason}; starting it again in 100 ms (restart 1)"
    assert lines[1] == "agent-init: the gateway exited with 70 2 times; starting it again in 200 ms (restart 2)"
    assert lines[-1] == ("agent-init: internal_error, exit code 70: the gateway exited with 70 6 times: "
                         f"{reason}; its restart budget is spent") and len(lines) == 6


def test_a_killed_gateway_leaves_the_loop_alone_and_loses_no_line_in_flight(box):
    box.script([[["out", "in flight\n"], ["touch", "written"], ["until", "shipped"], ["out", "later\n"]] + done(0)],
               [[["until", "written"], ["die", 9]], SERVE])
    assert box.run(init=False)[0] == 0
    assert len(box.records("loop_starts")) == 1 and len(box.records("gateway_starts")) == 2
    assert box.shipped("stdout") == "in flight\nlater\n"


def test_commands_outlive_the_loop_that_did_not_read_them(box):
    box.script([[["until", "sent"], ["die", 9]], [["command"]] + done(0)],
               [[["send", '{"type":"pause"}\n'], ["touch", "sent"]] + SERVE])
    assert box.run(init=False)[0] == 0
    assert box.records("commands") == ['{"type":"pause"}\n']


def test_a_gateway_that_cannot_be_configured_ends_the_run_after_the_loop_has_saved(box):
    saving = [["touch", "saved"]] + done(143, "stopped", "saved")
    box.script([[["on_term", saving], ["touch", "ready"], ["until", "x"]]], [[["until", "ready"], ["exit", 78]]])
    assert box.run(init=False)[0] == 78
    assert box.records("saved") and "gateway exited with 78" in box.message["reason"]


def test_a_gateway_that_always_crashes_ends_the_run_with_70_after_the_loop_has_saved(box):
    box.script([[["on_term", [["touch", "saved"]] + done(143, "stopped", "saved")], ["until", "x"]]], [[["die", 6]]])
    assert box.run(init=False)[0] == 70
    assert box.records("saved")
    assert "the gateway was killed by signal 6 (SIGABRT) 6 times; its restart budget is spent" in box.message["reason"]


# MARK: status lines

def test_the_termination_message_is_written_ahead_at_each_phase_change(box):
    box.script([[["status", "phase=TACTICAL\tstep=4\tseq=12"], ["status", "phase=TACTICAL\tstep=5\tseq=13"],
                 ["touch", "there"], ["until", "go"]] + done(0)])
    process = box.start("run", init=False)
    box.wait_for("there")
    deadline = time.monotonic() + 10
    while box.message["phase"] != "TACTICAL" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert box.message == {"outcome": "unfinished", "exit_code": None, "reason": "the run had not ended yet",
                           "phase": "TACTICAL", "step": 4, "seq": 12, "restarts": 0}
    (box.folder / "go").touch()
    assert box.finish(process)[0] == 0


def test_garbage_on_the_status_pipe_changes_nothing(box):
    box.script([[["raw", "\xff", 3000], ["raw", "z", 200_000], ["status", ""], ["status", "phase=X\tstep=no\tseq=1"],
                 ["raw", "phase=half", 1], ["die", 9]], done(0)])
    assert box.run(init=False)[0] == 0
    assert box.message["reason"] == "all done" and len(box.records("loop_starts")) == 2


def test_a_reason_of_any_bytes_makes_a_message_of_at_most_4096_bytes(box):
    box.script([done(1, "failed", "\x01\u20ac\"\\\\" * 70)])
    box.run(init=False)
    raw = box.message_path.read_bytes()
    assert len(raw) <= 4096 and json.loads(raw)["reason"].startswith('\x01\u20ac"\\')


def test_a_message_that_cannot_be_written_is_said_and_changes_nothing(box):
    box.script([done(1, "failed")])
    code, _, log = box.run(init=False, env={"AGENT_TERMINATION_LOG": "/nowhere/log"})
    assert code == 1 and "the termination message cannot be written: open /nowhere/log" in log


@pytest.mark.parametrize("path", ["/dev/full", "/dev/null"])
def test_a_full_disk_and_a_device_take_the_message_cleanly(box, path):
    box.script([done(1, "failed")])
    code, _, log = box.run(init=False, env={"AGENT_TERMINATION_LOG": path})
    assert code == 1 and ("No space left" in log) == (path == "/dev/full")


def test_a_longer_message_before_leaves_no_tail(box):
    box.message_path.write_text("x" * 9000)
    box.script([done(0)])
    box.run(init=False)
    assert box.message["outcome"] == "completed"


@needs_root
def test_a_mounted_message_file_is_written_in_place(box):
    """As the kubelet mounts it: a file of its own that nothing can be renamed over."""
    box.script([done(0)])
    source, target = box.folder / "source", box.folder / "target"
    source.touch()
    target.touch()
    line = f"mount --bind {source} {target} && exec {box.folder}/agent-init run"
    code, _, _ = box.run("-c", line, init=True, program="/bin/sh", env={"AGENT_TERMINATION_LOG": str(target)})
    assert code == 0 and json.loads(source.read_text())["outcome"] == "completed"
