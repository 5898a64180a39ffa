"""An agent-jail that is started ahead and waits for its command (`--wait-fd`), as the loop has one while the model is asked."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess

import pytest

from escapes import PROCESSES
from jailed import HANGS, Result, parse_report

LONGEST = 96 << 10


class Waiting:
    """One that is ready, and our end of its socket. It expects a command of `profile`."""

    def __init__(self, workspace, profile="tactical"):
        self.workspace = workspace
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        line = [workspace.jail, "--wait-fd", str(theirs.fileno()), *workspace.arguments(["true"], profile=profile)]
        self.process = subprocess.Popen(
            workspace.as_user(line), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()], env={}, cwd="/", start_new_session=True)
        theirs.close()
        workspace.children.append(self.process)
        self.socket.settimeout(HANGS)
        # Not taken: the loop takes it only when it has a command.
        assert self.socket.recv(1, socket.MSG_PEEK) == b"\0"

    def give(self, words, descriptors):
        message = b"\0".join(word if isinstance(word, bytes) else word.encode() for word in words)
        socket.send_fds(self.socket, [message], descriptors)

    def run(self, command, **asked):
        """Gives it a command (a text: by bash), and waits for that and for its own end."""
        if isinstance(command, str):
            command = ["bash", "-c", command]
        with contextlib.ExitStack() as ours:
            null = ours.enter_context(open("/dev/null", "rb"))
            pipes = [os.pipe() for _ in range(4)]
            (out, their_out), (err, their_err), (report, their_report), (their_control, control) = pipes
            out, err, report, _ = (ours.enter_context(os.fdopen(*one)) for one in
                                   [(out, "r"), (err, "r"), (report, "r"), (control, "wb")])
            theirs = [their_out, their_err, their_report, their_control]
            self.give(self.workspace.arguments(command, **asked), [null.fileno(), *theirs])
            for number in theirs:
                os.close(number)
            said, cried, lines = out.read(), err.read(), [parse_report(line) for line in report.read().splitlines()]
            code = self.process.wait(timeout=HANGS)
        return Result(code, said, cried, lines[-1] if lines else {}, lines[:-1])


def test_it_runs_the_command_that_it_is_given_with_the_five_descriptors(workspace):
    waiting = Waiting(workspace)
    done = waiting.run("pwd; echo $PPID; echo wrong >&2; ls /proc/self/fd; exit 7")
    # 3 is the folder that ls reads.
    assert done.out.split() == [str(workspace.project), str(waiting.process.pid), "0", "1", "2", "3"]
    assert (done.code, done.err, done.report["exited"]) == (7, "wrong\n", "7")


@pytest.mark.parametrize("expected, asked, code", [("tactical", "strategic", 1), ("strategic", "tactical", 0)])
def test_a_command_has_the_profile_that_is_asked_for_whatever_was_expected(workspace, expected, asked, code):
    done = Waiting(workspace, expected).run("echo x > made", profile=asked)
    assert done.code == code, done
    assert (workspace.project / "made").exists() == (code == 0)


@pytest.mark.parametrize("place", ["project", "home", "tmp"])
def test_a_folder_that_was_replaced_meanwhile_is_the_new_one_and_the_old_one_is_closed(workspace, place):
    folder = getattr(workspace, place)
    (folder / "file").write_text("old\n")
    waiting = Waiting(workspace)
    before = folder.rename(folder.with_name("before"))
    folder.mkdir()
    (folder / "file").write_text("new\n")
    shutil.chown(folder, workspace.uid, workspace.uid)
    done = waiting.run(f"cat {folder}/file; touch {folder}/made {before}/made; cat {before}/file")
    assert (done.code, done.out) == (1, "new\n"), done
    assert done.err.count("Permission denied") == 2, done
    assert (folder / "made").exists() and not (before / "made").exists()


def test_a_project_that_was_exchanged_meanwhile_is_the_one_that_is_there_now(workspace):
    project, former = workspace.project, workspace.root / "former"
    waiting = Waiting(workspace)
    project.rename(former)
    project.mkdir()
    shutil.chown(project, workspace.uid, workspace.uid)
    done = waiting.run(f"touch made {former}/made")
    assert (done.code, done.err.count("Permission denied")) == (1, 1), done
    assert (project / "made").exists() and not (former / "made").exists()


def test_a_link_in_the_place_of_the_project_is_refused(workspace):
    project, former = workspace.project, workspace.root / "former"
    waiting = Waiting(workspace)
    project.rename(former)
    project.symlink_to(former)
    done = waiting.run("touch made")
    assert (done.code, done.report["not_started"]) == (125, "files") and "link" in done.err, done
    assert not (former / "made").exists()


# MARK: Its end

def close(waiting):
    waiting.socket.close()


def close_once_heard(waiting):
    waiting.socket.recv(1)
    waiting.socket.close()


ENDS = {"its loop has gone": close, "its loop has gone after it was heard": close_once_heard}
ENDS |= {number.name: lambda waiting, number=number: waiting.process.send_signal(number)
         for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)}


@pytest.mark.parametrize("end", ENDS)
def test_it_ends_by_itself_when_nobody_wants_it_any_more(workspace, end):
    waiting = Waiting(workspace)
    ENDS[end](waiting)
    assert waiting.process.wait(timeout=HANGS) == 0


WRONG = {
    "no descriptors": lambda words: (words, 0),
    "a descriptor too few": lambda words: (words, 4),
    "a descriptor too many": lambda words: (words, 6),
    "no words": lambda words: ([b"\0"], 5),
    "words that are no request": lambda words: (["--profile", *words], 5),
    "no command": lambda words: (words[:-3], 5),
    "one byte too many": lambda words: ([*words, "x" * (LONGEST - sum(len(word) + 1 for word in words) + 1)], 5),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_request_that_is_not_whole_runs_nothing(workspace, case):
    waiting = Waiting(workspace)
    words, count = WRONG[case](workspace.arguments(["touch", "ran", "too"]))
    with open("/dev/null", "r+b") as null:
        waiting.give(words, [null.fileno()] * count)
    assert waiting.process.wait(timeout=HANGS) == 125
    assert not (workspace.project / "ran").exists()


def test_the_longest_request_is_taken_whole(workspace):
    words = workspace.arguments(["bash", "-c", "echo ${#0}"])
    length = LONGEST - sum(len(word.encode()) + 1 for word in words)
    assert Waiting(workspace).run(["bash", "-c", "echo ${#0}", "x" * length]).out == f"{length}\n"


# MARK: What it is while it waits

@pytest.mark.skipif(os.getuid() != 0, reason="only root looks into a process that is not dumpable")
def test_while_it_waits_it_has_nothing_that_a_command_could_use(workspace):
    waiting = Waiting(workspace)
    process = pathlib.Path(f"/proc/{waiting.process.pid}")
    assert (process / "environ").read_bytes() == b""
    # The kinds alone: a number may stand in brackets, or after a colon.
    kinds = [re.split(r":?\[(?=\d)", os.readlink(link))[0] for link in (process / "fd").iterdir()]
    assert sorted(kinds) == ["/dev/null"] * 3 + [f"/proc/{waiting.process.pid}/oom_score_adj"] + [
        "anon_inode:[landlock-ruleset]", "anon_inode:[signalfd]", "anon_inode:seccomp notify", "pipe", "pipe", "socket", "socket"]
    fields = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines())
    assert fields["NoNewPrivs"] == "1"
    assert workspace.uid == 0 or int(fields["CapEff"], 16) == 0


def test_no_command_reaches_one_that_waits(workspace):
    waiting = Waiting(workspace)
    facts = f"export VICTIM={waiting.process.pid}\n"
    got_out = [name for name, script in PROCESSES.items() if workspace.run(facts + script).code == 0]
    assert got_out == []
    socket_of_it = "for fd in /proc/$VICTIM/fd/* /proc/$VICTIM/fd/3; do cat < $fd; echo x > $fd; done"
    assert workspace.run(facts + socket_of_it).out == ""
    # Nothing was done to it either.
    assert waiting.run("echo fine").out == "fine\n"
