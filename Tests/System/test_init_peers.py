"""The behaviour that the test suites of tini and dumb-init ask of an init, asked of `agent-init run -- COMMAND`."""

import os
import pathlib
import signal
import subprocess

import pytest

from init_box import init_or_not, needs_root, pid_of_init, state, until

PYTHON = "/usr/bin/python3"
# Prints the number of each signal that comes, until SIGKILL.
PRINTER = """
import os, signal, time
for number in set(range(1, 32)) - {9, 19, 17}:
    signal.signal(number, lambda number, _: os.write(1, b"%d\\n" % number))
os.write(1, b"ready\\n")
while True: time.sleep(60)
"""


@pytest.fixture(autouse=True)
def in_time():
    """A signal that does not come is a failure, not a wait for ever."""
    def late(*_):
        raise AssertionError("it takes longer than a minute")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)


class Printer:
    """agent-init over a program that prints the signals which reach it."""

    def __init__(self, box, *options, init=False):
        self.process = box.start("run", *options, "--", PYTHON, "-c", PRINTER, init=init)
        assert self.process.stdout.readline() == b"ready\n"
        self.init = pid_of_init(self.process) if init else self.process.pid

    def sends(self, number):
        os.kill(self.init, number)

    def gets(self, *numbers):
        for number in numbers:
            line = self.process.stdout.readline()
            assert line == b"%d\n" % number, f"{line} came where {number} was sent"


# MARK: exit codes

def test_death_by_any_signal_is_128_and_its_number(box):
    for number in set(range(1, 65)) - {32, 33}:
        name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
        default_ignored = name in ("SIGCHLD", "SIGURG", "SIGWINCH", "SIGCONT")
        if default_ignored or name in ("SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU"):
            continue
        line = f"import os, resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); os.kill(os.getpid(), {number})"
        # Python ignores SIGPIPE and SIGXFSZ and catches SIGINT; the signal itself is what is asked about.
        reset = f"import signal; signal.signal({number}, signal.SIG_DFL) if {number} != 9 else 0; "
        assert box.run("run", "--", PYTHON, "-S", "-c", reset + line, init=False)[0] == 128 + number, name


def test_every_exit_code_can_be_remapped_alone(box):
    for code in (0, 1, 2, 127, 128, 143, 254, 255):
        others = [word for other in range(256) if other != code for word in ("--remap-exit", f"{other}:0")]
        line = ["sh", "-c", f"exit {code}"]
        assert box.run("run", "--remap-exit", f"{code}:99", "--", *line, init=False)[0] == 99
        assert box.run("run", *others, "--", *line, init=False)[0] == code


@pytest.mark.parametrize("value", ["256:0", "0:256", "-1:0", "1", "1:", ":1", "a:b", "1:2:3", ""])
def test_a_malformed_remapping_is_refused_before_anything_is_run(box, value):
    code, out, log = box.run("run", "--remap-exit", value, "--", "echo", "ran", init=False)
    assert code == 64 and out == "" and "accepted: CODE:CODE" in log


@pytest.mark.parametrize("value", ["TERM", "TERM:", "NOPE:INT", "65:1", "0:1", "TERM:INT:HUP", ""])
def test_a_malformed_rewriting_is_refused_before_anything_is_run(box, value):
    code, out, log = box.run("run", "--rewrite", value, "--", "echo", "ran", init=False)
    assert code == 64 and out == "" and "accepted: SIGNAL:SIGNAL" in log


def cannot_run(folder):
    """What cannot be executed, with the exit code for it and a word of the message."""
    (folder / "text").write_text("no magic, no interpreter\n")
    (folder / "empty").write_bytes(b"")
    (folder / "recursive").write_text(f"#!{folder}/recursive\n")
    (folder / "foreign").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xf3\x00" + bytes(44))
    for name in ("text", "empty", "recursive", "foreign"):
        (folder / name).chmod(0o755)
    (folder / "broken").symlink_to("gone")
    (folder / "to-folder").symlink_to(folder)
    os.mkfifo(folder / "fifo")
    return {"text": (126, "Exec format error"), "empty": (126, "Exec format error"), "recursive": (126, "cannot be"),
            "foreign": (126, "Exec format error"), "broken": (127, "not found"), "to-folder": (126, "Is a directory"),
            "fifo": (126, "Permission denied"), "x" * 300: (126, "File name too long")}


@init_or_not
def test_what_cannot_be_executed_is_126_or_127_whatever_is_wrong_with_it(box, init):
    for name, (expected, words) in cannot_run(box.folder).items():
        code, out, log = box.run("run", "--", f"{box.folder}/{name}", init=init)
        assert (code, out) == (expected, "") and words in log and log.count("\n") == 1, (name, code, log)


def test_a_program_is_found_in_path_past_what_cannot_be_executed(box):
    first, second, third = (box.folder / name for name in ("first", "second", "third"))
    for folder in (first, second, third):
        folder.mkdir()
    (first / "thing").mkdir()
    (second / "thing").write_text("#!/bin/sh\nexit 1\n")
    path = f"/no/such:{first}:{second}:{third}"
    assert box.run("run", "--", "thing", init=False, env={"PATH": path})[0] == 126
    (third / "thing").write_text("#!/bin/sh\nexit 33\n")
    (third / "thing").chmod(0o755)
    assert box.run("run", "--", "thing", init=False, env={"PATH": path})[0] == 33
    assert box.run("run", "--", "thing", init=False, env={"PATH": ""}, cwd=third)[0] == 33


@needs_root
def test_a_program_on_a_noexec_mount_and_one_of_another_user_are_126(box):
    (box.folder / "theirs").write_text("#!/bin/sh\n")
    (box.folder / "theirs").chmod(0o700)
    assert box.run("run", "--", f"{box.folder}/theirs", user=True)[0] == 126
    line = f"mount -t tmpfs -o noexec none /mnt; cp /bin/true /mnt; exec {box.folder}/agent-init run -- /mnt/true"
    code, _, log = box.run("--mount", "sh", "-c", line, init=False, program="unshare")
    assert code == 126 and "Permission denied" in log


# MARK: signals

@init_or_not
def test_every_signal_that_can_be_caught_reaches_the_command_and_in_its_order(box, init):
    """Those of faults too (ILL, TRAP, ABRT, BUS, FPE, SEGV, SYS), as with dumb-init."""
    printer = Printer(box, init=init)
    numbers = set(range(1, 32)) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}
    for number in sorted(numbers - {signal.SIGTERM}) + [signal.SIGTERM]:
        printer.sends(number)
        printer.gets(number)


@pytest.mark.parametrize("rewrites, sent, got", [
    (["TERM:INT"], [15, 3, 18, 2], [2, 3, 18, 2]),
    (["TERM:INT", "INT:TERM", "QUIT:QUIT"], [2, 3, 18, 15], [15, 3, 18, 2]),
    (["1:30", "30:1"], [1, 30], [30, 1]),
    (["SIGTERM:SIGQUIT", "INT:0", "WINCH:0"], [2, 28, 15, 2, 1], [3, 1]),
    (["TSTP:HUP", "TTIN:0", "TTOU:USR1"], [20, 21, 22], [1, 10]),
], ids=["one", "exchanged", "by number", "dropped", "of the terminal"])
def test_signals_are_rewritten_each_to_its_own(box, rewrites, sent, got):
    printer = Printer(box, *[word for one in rewrites for word in ("--rewrite", one)])
    expected = list(got)
    for number in sent:
        printer.sends(number)
        if expected and number not in dropped(rewrites):
            printer.gets(expected.pop(0))
    assert expected == []


def dropped(rewrites):
    names = {"INT": 2, "WINCH": 28, "TTIN": 21}
    return [names[one.split(":")[0]] for one in rewrites if one.endswith(":0")]


def test_a_command_can_be_stopped_and_continued_through_us(box):
    # A group of its own, with us outside of it: the kernel stops nobody in a group that nobody could wake again.
    process = box.start("run", "--", "sh", "-c", "echo $$; exec sleep 60", init=False, process_group=0)
    child = int(process.stdout.readline())
    for number in (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
        process.send_signal(number)
        until(lambda: state(child) == "T", f"the stop by {number.name}")
        process.send_signal(signal.SIGCONT)
        until(lambda: state(child) == "S", f"the end of the stop by {number.name}")
    process.send_signal(signal.SIGTERM)
    assert box.finish(process)[0] == 143


def test_with_a_group_of_its_own_we_stop_with_the_command_and_go_on_with_it(box):
    process = box.start("run", "-g", "--", "sh", "-c", "echo $$; exec sleep 60", init=False)
    child = int(process.stdout.readline())
    process.send_signal(signal.SIGTSTP)
    until(lambda: state(child) == "T" and state(process.pid) == "T", "the stop of both")
    process.send_signal(signal.SIGCONT)
    until(lambda: state(child) == "S" and state(process.pid) == "S", "the end of the stop of both")
    process.send_signal(signal.SIGTERM)
    assert box.finish(process)[0] == 143


@needs_root
def test_pid_1_cannot_be_stopped_and_its_command_goes_on(box):
    process = box.start("run", "-g", "--", "sh", "-c", "echo ready; exec sleep 60")
    process.stdout.readline()
    init = pid_of_init(process)
    child = int(pathlib.Path(f"/proc/{init}/task/{init}/children").read_text())
    os.kill(init, signal.SIGTSTP)
    os.kill(init, signal.SIGTERM)
    assert box.finish(process)[0] == 143 and state(child) == ""


def test_without_g_only_the_command_gets_the_signal(box):
    line = "trap 'echo child >&2' USR1; echo ready; while :; do sleep 0.02; done"
    main = f"trap 'echo main; exit 7' USR1; bash -c \"{line}\" & while :; do sleep 0.02; done"
    process = box.start("run", "--", "bash", "-c", main, init=False)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGUSR1)
    code, out, log = box.finish(process)
    assert (code, out) == (7, "main\n") and "child" not in log


def test_with_g_a_command_that_ignores_a_signal_ends_by_its_childs_end(box):
    line = ("import signal, subprocess, sys\n"
            "signal.signal(signal.SIGUSR1, signal.SIG_IGN)\n"
            "child = subprocess.Popen(['sh', '-c', 'echo ready; exec sleep 60'],"
            " preexec_fn=lambda: signal.signal(signal.SIGUSR1, signal.SIG_DFL))\nsys.exit(-child.wait())")
    process = box.start("run", "-g", "--", PYTHON, "-c", line, init=False)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGUSR1)
    assert box.finish(process)[0] == signal.SIGUSR1


# MARK: the rest of the tree

@init_or_not
def test_a_pipeline_in_the_background_of_a_shell_that_has_ended_is_ended_too(box, init):
    mark = box.folder.name
    line = f"yes {mark} | tail & yes {mark} | tail >&2 & exit 0"
    process = box.start("run", "--", "sh", "-c", line, init=init, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert process.wait(timeout=20) == 0
    left = [command_line(pid) for pid in os.listdir("/proc") if pid.isdigit()]
    assert [line for line in left if line.startswith(b"yes\0" + mark.encode())] == []


def command_line(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@init_or_not
def test_a_grandchild_in_a_session_of_its_own_is_told_to_end(box, init):
    line = "setsid sh -c 'trap \"echo told > $FAKE/told; exit\" TERM; touch $FAKE/held; while :; do sleep 0.01; done' & "
    line += "while [ ! -e $FAKE/held ]; do sleep 0.01; done; exit 12"
    assert box.run("run", "--", "sh", "-c", line, init=init)[0] == 12
    assert (box.folder / "told").read_text() == "told\n"


@init_or_not
def test_who_had_to_be_killed_is_named(box, init):
    line = ("sh -c 'trap \"\" TERM; touch $FAKE/held; while :; do sleep 0.01; done' & "
            "while [ ! -e $FAKE/held ]; do sleep 0.01; done; echo $!; exit 12")
    code, out, log = box.run("run", "--grace", "1", "--", "sh", "-c", line, init=init)
    pid = out.strip()
    assert code == 12 and "SIGKILL to" in log and f"{pid} (sh)" in log, log


@init_or_not
def test_a_child_that_is_stopped_is_ended_all_the_same(box, init):
    line = "sleep 60 & kill -STOP $!; exit 3"
    assert box.run("run", "--grace", "1", "--", "sh", "-c", line, init=init)[0] == 3


@init_or_not
def test_zombies_of_a_double_fork_do_not_stay(box, init):
    line = ("(sleep 0 & sleep 0 & exec sleep 0) & for i in 1 2 3; do (sh -c 'exit 9' &); done; sleep 0.5; "
            "ps --no-headers -o stat= --ppid $1 | grep -c Z; exit 0")
    code, out, _ = box.run("run", "--", "sh", "-c", f"set -- $PPID; {line}", init=init)
    assert (code, out) == (0, "0\n")


# MARK: what the command gets

@init_or_not
def test_standard_input_is_passed_on_byte_for_byte(box, init):
    data = os.urandom(1 << 20)
    process = box.start("run", "--", "cat", init=init, stdin=subprocess.PIPE)
    out, _ = process.communicate(data, timeout=20)
    assert process.returncode == 0 and out == data


@init_or_not
def test_arguments_that_look_like_options_are_the_commands(box, init):
    line = ["printf", "%s|", "-g", "--", "--help", "run", "", "a b"]
    for dashes in (["--"], []):
        assert box.run("run", *dashes, *line, init=init)[:2] == (0, "-g|--|--help|run||a b|")


def test_a_closed_descriptor_is_closed_for_the_command_too(box):
    line = f"exec {box.folder}/agent-init run -- {PYTHON} -c 'import os; os.fstat(1)' >&-"
    code, _, log = box.run("-c", line, init=False, program="/bin/sh")
    assert code == 1 and "Bad file descriptor" in log


@needs_root
def test_nothing_of_pid_1_can_be_read_by_its_command_of_the_same_user(box):
    line = "for f in environ mem maps; do head -c1 /proc/1/$f >/dev/null 2>&1 && echo $f; done; ls /proc/1/fd 2>&1; exit 0"
    code, out, _ = box.run("run", "--", "sh", "-c", line, user=True)
    assert code == 0 and "Permission denied" in out and out.count("\n") == 1


@needs_root
def test_on_a_read_only_root_as_an_ordinary_user_it_works_as_anywhere(box):
    line = ("mount --make-rprivate / && mount -o remount,bind,ro / && mount -t proc none /proc && "
            "exec setpriv --reuid=1000 --regid=1000 --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all -- "
            f"{box.folder}/agent-init run -- sh -c 'touch /tmp/x 2>/dev/null && exit 1; (sleep 0.1 &); exit 7'")
    code, _, log = box.run("--mount", "--pid", "--fork", "sh", "-c", line, init=False, program="unshare")
    assert code == 7, log
