"""The command line of agent-init, and agent-init as the init of any one command."""

import os
import re
import signal
import subprocess

import pytest

from init_box import BIN, init_or_not, needs_root, pid_of_init


# MARK: the command line

def test_help_that_is_asked_for_is_a_success_and_help_that_is_not_is_64(box):
    code, out, log = box.run("--help", init=False)
    assert (code, log) == (0, "") and "FIRST RUN" in out and "EXIT CODES" in out
    assert box.finish(box.start(init=False)) == (64, "", out)
    assert box.run("--version", init=False)[1].startswith("agent-init ")


def test_help_lists_every_subcommand_of_agentd():
    whole = subprocess.run([BIN / "agentd", "help"], capture_output=True, text=True, check=True).stdout
    there = set(re.findall(r"^  ([a-z]+) ", whole.split("SUBCOMMANDS:")[1], re.M))
    assert {"exec", "verify", "restore", "loop"} <= there
    ours = subprocess.run([BIN / "agent-init", "--help"], capture_output=True, text=True, check=True).stdout
    table = ours.split("SUBCOMMANDS\n")[1].split("\n\n")[0]
    assert set(re.findall(r"^  ([a-z]+) ", table, re.M)) == there | {"run", "help"}


def test_a_subcommand_after_run_is_refused_with_what_was_meant(box):
    shown = subprocess.run([BIN / "agent-init", "--help"], capture_output=True, text=True, check=True).stdout
    names = re.findall(r"^  ([a-z]+) ", shown.split("SUBCOMMANDS\n")[1].split("\n\n")[0], re.M)
    assert "doctor" in names
    for name in names:
        for options in ([], ["-g"]):
            code, out, log = box.run("run", *options, name, init=False)
            assert (code, out) == (64, "") and log == (
                f'agent-init: usage, exit code 64: "run {name}" would run a program of that name; for the subcommand: '
                f"agent-init {name}; for the program: agent-init run -- {name}\n")
            assert box.message["exit_code"] == 64 and f"agent-init {name};" in box.message["reason"]
    program = box.folder / "doctor"
    program.write_text("#!/bin/sh\nexit 33\n")
    program.chmod(0o755)
    assert box.run("run", "--", "doctor", init=False, env={"PATH": str(box.folder)})[0] == 33


@pytest.mark.parametrize("arguments", [["--nonsense"], ["run", "--nonsense"], ["run", "--"], [""]])
def test_a_wrong_command_line_is_64_and_says_what_to_do(box, arguments):
    code, out, log = box.run(*arguments, init=False)
    assert code == 64 and out == "" and "agent-init " in log and log.count("\n") == 1


def test_help_onto_a_full_disk_is_an_error(box):
    with open("/dev/full", "w") as full:
        assert box.run("--help", init=False, stdout=full)[0] == 70


@init_or_not
def test_any_other_subcommand_is_agentds_with_all_arguments_streams_and_its_end(box, init):
    (box.folder / "agentd").write_text('#!/bin/sh\nprintf "%s|" "$@"; cat; echo wrong >&2; exit 9\n')
    process = box.start("status", "--job", "a b", "", b"\xff", init=init, stdin=subprocess.PIPE)
    out, log = process.communicate(b"typed")
    assert (process.returncode, out, log) == (9, b"status|--job|a b||\xff|typed", b"wrong\n")
    (box.folder / "agentd").write_text("#!/bin/sh\nkill -9 $$\n")
    # A shell sees what it died of; PID 1 cannot die of it.
    assert box.run("status", init=init)[0] == (137 if init else -9)


@init_or_not
def test_a_signal_reaches_the_subcommand(box, init):
    (box.folder / "agentd").write_text("#!/bin/sh\ntrap 'exit 5' TERM; echo ready; while :; do sleep 0.02; done\n")
    process = box.start("status", init=init)
    assert process.stdout.readline() == b"ready\n"
    os.kill(pid_of_init(process) if init else process.pid, signal.SIGTERM)
    assert box.finish(process)[0] == 5


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
        assert ("its interpreter does not exist" in log) == name.endswith("script")


@init_or_not
def test_signals_are_passed_on_to_the_command(box, init):
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGWINCH,
                   signal.SIGCONT, signal.SIGTSTP, signal.SIGRTMIN + 3):
        process = box.start("run", "--", "/usr/bin/python3", "-c", (
            "import signal, sys, time\n"
            f"signal.signal({int(number)}, lambda n, _: sys.exit(100))\n"
            "print('ready', flush=True)\nwhile True: time.sleep(0.05)"), init=init)
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


def test_sigchld_inherited_as_ignored_does_not_lose_the_exit_code(box):
    # Not through unshare(1), which sets it to its default.
    code, _, _ = box.run("run", "sh", "-c", "exit 7", init=False,
                         preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert code == 7
