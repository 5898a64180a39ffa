"""The options of `agent-init run COMMAND`, and what a terminal does with it."""

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time

import pytest

from init_box import init_or_not

TRAP = "trap 'echo got-int; exit 3' INT; trap 'echo got-hup; exit 4' HUP; echo ready; while :; do sleep 0.05; done"


def ready(process):
    assert process.stdout.readline() == b"ready\n"


# MARK: options

def test_a_signal_is_rewritten(box):
    process = box.start("run", "--rewrite", "TERM:INT", "--", "bash", "-c", TRAP, init=False)
    ready(process)
    process.send_signal(signal.SIGTERM)
    code, out, _ = box.finish(process)
    assert (code, out) == (3, "got-int\n")


def test_a_signal_rewritten_to_0_is_dropped(box):
    process = box.start("run", "--rewrite", "HUP:0", "--", "bash", "-c", TRAP, init=False)
    ready(process)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert box.finish(process)[:2] == (3, "got-int\n")


@init_or_not
def test_an_exit_code_is_remapped_and_no_other(box, init):
    for code, expected in [(143, 0), (9, 200), (5, 5)]:
        line = ["run", "--remap-exit", "143:0", "--remap-exit", "9:200", "--", "sh", "-c", f"exit {code}"]
        assert box.run(*line, init=init)[0] == expected
    assert box.run("run", "--remap-exit", "143:0", "sh", "-c", "kill -TERM $$", init=init)[0] == 0


def test_with_g_the_whole_group_gets_the_signal(box):
    child = "trap 'echo child; exit' USR1; while :; do sleep 0.05; done"
    main = f"trap 'wait; echo main; exit 7' USR1; bash -c \"{child}\" & echo ready; while :; do sleep 0.05; done"
    process = box.start("run", "-g", "--", "bash", "-c", main, init=False)
    ready(process)
    time.sleep(0.3)
    process.send_signal(signal.SIGUSR1)
    code, out, _ = box.finish(process)
    assert (code, out) == (7, "child\nmain\n")


def test_the_grace_of_the_command_line_counts(box):
    process = box.start("run", "--grace", "1", "--", "bash", "-c", "trap '' TERM; echo ready; sleep 60 & wait; sleep 60",
                        init=False, env={"AGENT_GRACE_SECONDS": "3600"})
    ready(process)
    process.send_signal(signal.SIGTERM)
    assert box.finish(process, timeout=20)[0] == 137


@pytest.mark.skipif(os.getuid() != 0, reason="a pid namespace needs root")
def test_signals_from_inside_count_where_they_are_meant_to(box):
    line = "trap 'exit 5' TERM; kill -TERM 1; sleep 1; exit 6"
    assert box.run("run", "--", "bash", "-c", line)[0] == 6
    assert box.run("run", "--heed-inside", "--", "bash", "-c", line)[0] == 5


# MARK: the terminal

class Terminal:
    """A program in a session of its own on a new terminal."""

    def __init__(self, *arguments):
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.execv(arguments[0], arguments)
        self.text = ""

    def type(self, text):
        os.write(self.descriptor, text.encode())

    def expect(self, text, count=1):
        deadline = time.monotonic() + 20
        while self.text.count(text) < count:
            assert time.monotonic() < deadline, f"{text!r} did not come: {self.text!r}"
            if select.select([self.descriptor], [], [], 0.1)[0]:
                try:
                    self.text += os.read(self.descriptor, 65536).decode(errors="replace")
                except OSError:
                    assert self.text.count(text) >= count, self.text
                    return

    def end(self):
        """The exit code; what is still printed is read and passed over."""
        deadline = time.monotonic() + 20
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            assert time.monotonic() < deadline, f"it does not end: {self.text!r}"
            try:
                if select.select([self.descriptor], [], [], 0.05)[0]:
                    self.text += os.read(self.descriptor, 65536).decode(errors="replace")
            except OSError:
                time.sleep(0.05)


COUNT = ("n=0; trap 'n=$((n+1)); echo int$n' INT; trap 'echo winch' WINCH; trap 'exit 9' TERM; echo ready; "
         "while :; do sleep 0.05; done")


@pytest.fixture
def init(box):
    return str(box.folder / "agent-init")


def test_ctrl_c_and_a_resize_come_once(init):
    terminal = Terminal(init, "run", "--", "bash", "-c", COUNT)
    terminal.expect("ready")
    terminal.type("\x03")
    terminal.expect("int1")
    time.sleep(0.5)
    terminal.expect("ready")
    assert "int2" not in terminal.text
    fcntl.ioctl(terminal.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 100, 0, 0))
    terminal.expect("winch")
    time.sleep(0.5)
    assert terminal.text.count("winch") == 1
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.end() == 9


def test_a_command_can_read_the_terminal(init):
    terminal = Terminal(init, "run", "--", "bash", "-c", "read -p 'name? ' name; echo hello $name")
    terminal.expect("name? ")
    terminal.type("you\n")
    terminal.expect("hello you")
    assert terminal.end() == 0


def test_an_interactive_shell_has_job_control(init):
    terminal = Terminal(init, "run", "--", "bash", "--norc", "-i")
    terminal.type("PS1=; sleep 60\n")
    time.sleep(0.5)
    terminal.type("\x1a")
    terminal.expect("Stopped")
    # The shell does not leave before it has seen the end of its stopped job.
    terminal.type("kill -9 %1; wait %1; echo it is go''ne\n")
    terminal.expect("it is gone")
    terminal.type("exit 4\n")
    assert terminal.end() == 4
    assert "no job control" not in terminal.text


def test_ctrl_z_stops_it_and_fg_goes_on(init):
    terminal = Terminal("/bin/bash", "--norc", "-i")
    terminal.type(f"PS1=; {init} run -- bash -c 'echo first; read line; echo second $line'\n")
    terminal.expect("\rfirst\r\n")
    terminal.type("\x1a")
    terminal.expect("Stopped")
    terminal.type("fg\n")
    time.sleep(0.5)
    terminal.type("word\n")
    terminal.expect("second word")
    terminal.type("exit 0\n")
    assert terminal.end() == 0


def test_a_hangup_of_the_terminal_is_129(init):
    terminal = Terminal(init, "run", "--", "sh", "-c", "echo ready; exec sleep 60")
    terminal.expect("ready")
    os.close(terminal.descriptor)
    assert terminal.end() == 129
