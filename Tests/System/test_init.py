"""agent-init as the PID 1 it is built to be: the real static binary over a scripted stand-in for agentd.

As root each test runs in a pid namespace of its own; otherwise those that need one are skipped.
AGENT_BIN_DIR is the folder of the built binary (default .build/release).
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("AGENT_BIN_DIR", ROOT / ".build/release")).resolve()
NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc"]
AS_USER = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "--"]
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="a pid namespace needs root")

SERVE = [["serve"]]
BEAT = ["status", "beat"]


def done(code, outcome="completed", reason="all done"):
    line = f"end\toutcome={outcome}\texit={code}\treason={reason}\tphase=VERIFY\tstep=9\tseq=41"
    return [["status", line], ["exit", code]]


class Box:
    """A folder with agent-init, a scripted agentd beside it, and what they leave behind."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="init-", dir="/tmp"))
        self.folder.chmod(0o777)
        shutil.copy(BIN / "agent-init", self.folder)
        shutil.copy(pathlib.Path(__file__).with_name("fake_agentd.py"), self.folder / "agentd")
        (self.folder / "agentd").chmod(0o755)
        self.message_path = self.folder / "termination-log"
        self.running = []

    def script(self, loop, gateway=(SERVE,)):
        (self.folder / "loop").write_text(json.dumps(loop))
        (self.folder / "gateway").write_text(json.dumps(list(gateway)))

    def start(self, *arguments, init=True, user=False, env=None, program=None, **options):
        environment = {"PATH": "/usr/bin:/bin", "FAKE": str(self.folder), "AGENT_GRACE_SECONDS": "3",
                       "AGENT_TERMINATION_LOG": str(self.message_path), "JOB_ID": "j", **(env or {})}
        line = (NAMESPACE if init else []) + (AS_USER if user else []) + [program or str(self.folder / "agent-init")]
        process = subprocess.Popen(line + list(arguments), env=environment, stdin=subprocess.DEVNULL,
                                   **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options})
        self.running.append(process)
        return process

    def finish(self, process, timeout=30):
        out, err = process.communicate(timeout=timeout)
        return process.returncode, (out or b"").decode(), (err or b"").decode()

    def run(self, *arguments, **options):
        return self.finish(self.start(*(arguments or ("run",)), **options))

    def records(self, name):
        path = self.folder / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def wait_for(self, name, count=1):
        deadline = time.monotonic() + 20
        while len(self.records(name)) < count:
            assert time.monotonic() < deadline, f"{name} did not come"
            time.sleep(0.01)
        return self.records(name)

    def shipped(self, stream):
        return "".join(text for name, text in self.records("shipped") if name == stream)

    @property
    def message(self):
        return json.loads(self.message_path.read_bytes())


def pid_of_init(process):
    """The pid, as seen from here, of the agent-init that unshare has started."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if children:
            return int(children[0])
        time.sleep(0.01)
    raise AssertionError("unshare has no child")


@pytest.fixture
def box():
    box = Box()
    yield box
    for process in box.running:
        if process.poll() is None:
            for child in pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                os.kill(int(child), signal.SIGKILL)
            process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()
    shutil.rmtree(box.folder, ignore_errors=True)


init_or_not = pytest.mark.parametrize("init", [
    pytest.param(True, marks=needs_root, id="as PID 1"), pytest.param(False, id="as a subreaper")])


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
    assert [other["6"], other["7"], other["4"], other["5"]] == [held["1"], held["2"], held["4"], held["5"]]
    assert all(held[n].startswith("pipe:") for n in "12345") and held["3"] != other["3"]
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
    box.script([done(code, "some_outcome", "because \\\"so\\\"")])
    assert box.run(init=init)[0] == code
    assert len(box.records("loop_starts")) == 1
    assert box.message == {"outcome": "some_outcome", "exit_code": code, "reason": 'because "so"', "phase": "VERIFY",
                           "step": 9, "seq": 41, "restarts": 0}


def test_a_final_code_without_a_word_gets_one_from_pid_1(box):
    box.script([[["exit", 78]]])
    assert box.run(init=False)[0] == 78
    assert box.message["outcome"] == "configuration" and "78" in box.message["reason"]


def test_last_words_that_do_not_fit_the_exit_code_are_not_believed(box):
    box.script([done(0)[:1] + [["exit", 1]]])
    assert box.run(init=False)[0] == 1
    assert box.message["outcome"] == "failed"


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
    box.script([[["on_term", [["touch", "saved"]] + done(143, "stopped", "saved")], ["touch", "ready"], ["until", "x"]]],
               [[["until", "ready"], ["exit", 78]]])
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
                 ["raw", "phase=half", 1], ["die", 9]], [BEAT] + done(0)])
    assert box.run(init=False)[0] == 0
    assert box.message["phase"] == "VERIFY" and len(box.records("loop_starts")) == 2


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
    process = box.start("run", init=init)
    box.wait_for("ready")
    began = time.monotonic()
    os.kill(pid_of_init(process) if init else process.pid, signal.SIGTERM)
    code, _, log = box.finish(process)
    # Not a measurement: the kubelet kills at the end of the grace period, so to be over before is the behaviour.
    assert time.monotonic() - began < 3
    assert code == 143 and "the loop has not ended" in log and box.shipped("stdout") == "kept\n"
    assert "was killed by signal 9" in box.message["reason"] and box.message["exit_code"] == 143


@needs_root
def test_nothing_that_ignores_sigterm_outlives_the_grace(box):
    hold = "trap '' TERM; touch $FAKE/held; while :; do sleep 1; done"
    box.script([[["ignore_term"], ["background", hold], ["until", "held"], ["touch", "ready"], ["until", "never"]]],
               [[["ignore_term"], ["until", "never"]]])
    process = box.start("run")
    box.wait_for("ready")
    began = time.monotonic()
    os.kill(pid_of_init(process), signal.SIGTERM)
    code, _, log = box.finish(process)
    assert time.monotonic() - began < 3
    assert code == 143 and "SIGKILL to" in log


def test_sigterm_while_the_loop_waits_for_its_restart_ends_at_once(box):
    box.script([[["die", 9]]])
    process = box.start("run", init=False)
    box.wait_for("loop_starts", 5)
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert box.finish(process)[0] == 143 and box.message["outcome"] == "stopped"


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
    expected = {"<&-": "0", ">&-": "1", "2>&-": "2"}
    for number in [expected[one] for one in closed.split()]:
        assert descriptors[number] == "/dev/null"


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
    code, _, log = box.run(init=False)
    assert code == 70 and "agentd: No such file or directory" in log


def test_an_agentd_that_cannot_be_started_is_tried_within_the_budget(box):
    (box.folder / "agentd").write_bytes(b"\x7fELF garbage")
    (box.folder / "agentd").chmod(0o755)
    code, _, log = box.run(init=False)
    assert code == 70 and "could not be started" in box.message["reason"] and "its restart budget is spent" in log


@needs_root
def test_no_process_to_be_had_is_a_clean_error(box):
    box.script([done(0)])
    code, _, log = box.run("--nproc=1:1", *AS_USER, str(box.folder / "agent-init"), "run", init=False,
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


# MARK: the command line

def test_alone_it_teaches(box):
    for arguments in ([], ["--help"], ["help"]):
        code, out, _ = box.finish(box.start(*arguments, init=False))
        assert code == 0 and "FIRST RUN" in out and "EXIT CODES" in out
    assert box.run("--version", init=False)[1].startswith("agent-init ")


@pytest.mark.parametrize("arguments", [["--nonsense"], ["run", "--nonsense"], ["run", "--"], [""]])
def test_a_wrong_command_line_is_64_and_says_what_to_do(box, arguments):
    code, out, log = box.run(*arguments, init=False)
    assert code == 64 and out == "" and "agent-init " in log


def test_help_onto_a_full_disk_is_an_error(box):
    with open("/dev/full", "w") as full:
        assert box.run("--help", init=False, stdout=full)[0] == 70


def test_any_other_subcommand_becomes_agentd_with_all_arguments(box):
    (box.folder / "agentd").write_text('#!/bin/sh\nprintf "%s|" $$ "$@"; exit 9\n')
    process = box.start("status", "--job", "a b", "", b"\xff", init=False)
    out, _ = process.communicate()
    assert process.returncode == 9 and out == b"%d|status|--job|a b||\xff|" % process.pid


# MARK: run COMMAND

@init_or_not
@pytest.mark.parametrize("dashes", [["--"], []])
def test_an_exit_code_of_the_command_is_passed_on(box, init, dashes):
    codes = range(256) if not init and dashes else [0, 1, 42, 128, 255]
    for code in codes:
        assert box.run("run", *dashes, "sh", "-c", f"exit {code}", init=init)[0] == code


def test_a_command_killed_by_a_signal_gives_128_and_its_number(box):
    for number in (1, 2, 6, 9, 11, 15):
        assert box.run("run", "--", "sh", "-c", f"kill -{number} $$", init=False)[0] == 128 + number


def test_a_command_that_is_not_there_is_127_and_one_that_cannot_run_is_126(box):
    (box.folder / "plain").write_text("x")
    (box.folder / "garbage").write_bytes(b"\x7fELFgarbage")
    (box.folder / "script").write_text("#!/no/such/interpreter\n")
    (box.folder / "loop").symlink_to("loop")
    for name in ("garbage", "script"):
        (box.folder / name).chmod(0o755)
    expected = {"no-such-command": 127, "/no/such": 127, "/etc/passwd/x": 127, "": 127, "/tmp": 126}
    expected |= {str(box.folder / name): 126 for name in ("plain", "garbage", "script", "loop")}
    for name, code in expected.items():
        got, out, log = box.run("run", "--", name, init=False)
        assert (got, out) == (code, "") and log.startswith(f"agent-init: {name}: "), (name, log)


@init_or_not
def test_signals_are_passed_on_to_the_command(box, init):
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGWINCH,
                   signal.SIGCONT, signal.SIGTSTP, signal.SIGRTMIN + 3):
        process = box.start("run", "--", "/usr/bin/python3", "-c", (
            "import signal, sys\n"
            f"signal.signal({int(number)}, lambda n, _: sys.exit(100))\n"
            "print('ready', flush=True)\nwhile True: signal.pause()"), init=init)
        process.stdout.readline()
        os.kill(pid_of_init(process) if init else process.pid, number)
        assert box.finish(process)[0] == 100, number


@needs_root
def test_a_command_cannot_signal_its_init(box):
    code, _, log = box.run("run", "--", "sh", "-c", "kill 1; kill -HUP 1; sleep 0.2; exit 5")
    assert code == 5 and "SIGTERM from process 2 inside the container is ignored" in log


@init_or_not
def test_background_processes_of_the_command_get_time_to_clean_up(box, init):
    tidy = "(trap 'echo tidy > $FAKE/tidy; exit' TERM; touch $FAKE/held; while :; do sleep 0.01; done) &"
    code, _, _ = box.run("run", "sh", "-c", f"{tidy} while [ ! -e $FAKE/held ]; do sleep 0.01; done; exit 3", init=init)
    assert code == 3 and (box.folder / "tidy").exists()


@init_or_not
def test_a_command_that_ignores_sigterm_does_not_hang_us(box, init):
    process = box.start("run", "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done", init=init)
    process.stdout.readline()
    os.kill(pid_of_init(process) if init else process.pid, signal.SIGTERM)
    code, _, log = box.finish(process)
    assert code == 137 and "SIGKILL" in log


def test_the_command_gets_everything_untouched(box):
    reader, writer = os.pipe()
    process = box.start("run", "--", "bash", "-c", f'cat; pwd; echo "$ODD"; echo fd >&{writer}', init=False,
                        env={"ODD": b"\xff\xfe"}, cwd="/usr", pass_fds=[writer])
    os.close(writer)
    out, _ = process.communicate()
    assert out == b"/usr\n\xff\xfe\n" and os.read(reader, 10) == b"fd\n"
    os.close(reader)


@needs_root
def test_orphans_of_the_command_are_reaped(box):
    storm = "i=0; while [ $i -lt 500 ]; do (sleep 0.3 &) ; i=$((i+1)); done; sleep 2; ps -eo stat= | grep -c Z; exit 0"
    code, out, _ = box.run("run", "sh", "-c", storm)
    assert (code, out) == (0, "0\n")


@needs_root
def test_sigchld_inherited_as_ignored_does_not_lose_the_exit_code(box):
    code, _, _ = box.run("run", "sh", "-c", "exit 7",
                         preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert code == 7
