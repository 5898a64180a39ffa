"""`agent-init exec --pty`: a terminal for the command, and ours as it was afterwards."""
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from job import HANGS, eventually


class Person:
    """Somebody at a terminal of their own, in which `agent-init exec --pty` runs."""

    def __init__(self, sandbox, *arguments, rows=30, columns=100, settings=None):
        self.screen, terminal = pty.openpty()
        self.terminal = terminal
        self.resize(rows, columns)
        self.modes = termios.tcgetattr(terminal)
        self.seen = b""
        self.process = sandbox.start(
            "exec", "--pty", *arguments, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), settings=settings)

    def resize(self, rows, columns):
        fcntl.ioctl(self.screen, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.screen, text.encode())

    def sees(self, words):
        """Reads the screen until the words are on it, and returns what stands before them."""
        deadline = time.monotonic() + HANGS
        while words.encode() not in self.seen:
            assert time.monotonic() < deadline, f"{words!r} does not come: {self.seen!r}"
            if select.select([self.screen], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.screen, 65536)
                except OSError:
                    assert words.encode() in self.seen, f"the terminal has gone: {self.seen!r}"
            else:
                assert self.process.poll() is None or select.select([self.screen], [], [], 0)[0], self.seen
        before, _, self.seen = self.seen.partition(words.encode())
        return before.decode()

    def ends(self):
        code = self.process.wait(timeout=HANGS)
        assert termios.tcgetattr(self.terminal) == self.modes, "the terminal is as it was"
        return code

    def close(self):
        os.close(self.screen)
        os.close(self.terminal)


@pytest.fixture
def person(sandbox):
    people = []

    def sit_down(*arguments, **options):
        people.append(Person(sandbox, *arguments, **options))
        return people[-1]

    yield sit_down
    for somebody in people:
        if somebody.process.poll() is None:
            somebody.process.kill()
            somebody.process.wait()
        somebody.close()


def test_the_command_has_a_terminal_of_its_own(person, sandbox):
    somebody = person("--", "bash", "-c", "test -t 0 -a -t 1 -a -t 2 && tty && echo one >/dev/tty; ps -o tty= -p $$; exit 9")
    name = somebody.sees("one")
    assert "/dev/pts/" in name and os.ttyname(somebody.terminal) not in name
    assert somebody.ends() == 9


def test_the_window_has_our_size_and_follows_it(person):
    somebody = person("--", "bash", "-c", "stty size; trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.02; done")
    assert "30 100" in somebody.sees("ready")
    somebody.resize(41, 77)
    somebody.sees("41 77")
    assert somebody.ends() == 0


def test_keys_reach_the_command_as_they_are(person):
    somebody = person("--", "bash", "-c", "stty raw -echo; echo ready; head -c 3 | od -An -tx1")
    somebody.sees("ready")
    assert termios.tcgetattr(somebody.terminal) != somebody.modes, "our own terminal passes every key through"
    somebody.type("\x03\x04\x1a")
    somebody.sees("03 04 1a")
    assert somebody.ends() == 0


def test_control_c_interrupts_the_foreground_job_and_not_the_shell(person):
    somebody = person("--", "bash", "--norc", "-i")
    somebody.type("PS1='[prompt]'\n")
    somebody.sees("[prompt]")
    somebody.type("sleep 4321; echo after=$?\n")
    eventually_running(somebody, "4321")
    somebody.type("\x03")
    somebody.type("echo still-$((1 + 1))\n")
    somebody.sees("still-2")
    somebody.type("exit 6\n")
    assert somebody.ends() == 6


def eventually_running(somebody, word):
    """Waits until the foreground process group is that command's."""
    def look():
        found = subprocess.run(["pgrep", "-f", f"^sleep {word}$"], capture_output=True, text=True).stdout.split()
        return found and all(os.getpgid(int(pid)) == int(pid) for pid in found)

    eventually(f"sleep {word}", look)


def test_job_control_works(person):
    somebody = person("--", "bash", "--norc", "-i")
    somebody.type("PS1='[prompt]'\n")
    somebody.sees("[prompt]")
    somebody.type("sleep 4322\n")
    eventually_running(somebody, "4322")
    somebody.type("\x1a")
    somebody.sees("Stopped")
    somebody.type("jobs; kill %1; fg; echo code-$?\n")
    somebody.sees("Stopped")
    somebody.sees("Terminated")
    somebody.type("exit\n")
    somebody.ends()
    assert subprocess.run(["pgrep", "-f", "^sleep 4322$"]).returncode == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT], ids=lambda number: number.name)
def test_a_signal_leaves_the_terminal_as_it_was(person, number):
    somebody = person("--", "bash", "-c", "trap '' TERM INT HUP QUIT; echo ready; sleep 4323")
    somebody.sees("ready")
    somebody.process.send_signal(number)
    assert somebody.ends() == -number
    assert subprocess.run(["pgrep", "-f", "^sleep 4323$"]).returncode == 1


def test_a_refusal_leaves_the_terminal_as_it_was(person):
    assert person("--", "no-such-program").ends() == 127
    assert person("--cwd", "/usr", "--", "true").ends() == 64
    assert person("--timeout", "0.2", "--", "sleep", "1000").ends() == 124


def test_our_kind_of_terminal_is_passed_on(person):
    somebody = person("--", "bash", "-c", "echo TERM=$TERM.", settings={"TERM": "screen-256color"})
    somebody.sees("TERM=screen-256color.")
    somebody.ends()
    somebody = person("--", "bash", "-c", "echo TERM=$TERM.")
    somebody.sees("TERM=xterm.")
    somebody.ends()


def test_input_that_is_no_terminal_ends_with_control_d(sandbox):
    for text, lines in [(b"one\ntwo\n", 2), (b"one\ntwo", 1), (b"", 0)]:
        done = sandbox.exec("--pty", "--", "bash", "-c", "stty -echo; echo ready; cat | wc -l; exit 4", input=text)
        assert done.returncode == 4
        assert done.stdout.split()[-1] == str(lines).encode()


def test_all_that_was_written_comes_before_the_end(sandbox):
    done = sandbox.exec("--pty", "--", "seq", "1", "20000")
    assert done.stdout.split() == [str(number).encode() for number in range(1, 20001)]
    assert done.returncode == 0


def test_a_program_that_types_into_its_terminal_is_refused(person):
    # TIOCSTI: what it pushed back would be run by the shell that has the terminal afterwards.
    code = "import fcntl, termios\ntry: fcntl.ioctl(0, termios.TIOCSTI, b'x')\nexcept OSError as error: print('errno', error.errno)"
    somebody = person("--", "python3", "-c", code)
    somebody.sees("errno 1")
    somebody.ends()


def test_json_has_what_was_on_the_screen(sandbox):
    result = sandbox.json("echo out; echo err >&2", "--pty")
    assert result["stdout"]["head"] == "out\r\nerr\r\n"
    assert result["stderr"]["bytes"] == 0
