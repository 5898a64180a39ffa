"""Success is never guessed: 0 comes only from a loop, or from a subcommand, that has come to its own end.

The programs are the real ones, or what may stand in the place of `agentd` in a broken image."""

import json
import pathlib
import select
import shutil
import subprocess
import tempfile

import pytest

import job as jobs
from init_box import needs_root
from job_ends import end_well
from turns import SMALL_JOB

SUBCOMMANDS = [["verify"], ["status"], ["doctor"], ["history"], ["export"], ["exec", "--", "true"]]
LIBRARY = b"libnats.so"


@pytest.fixture
def done_job(new_job):
    """A job that has come to its verified end: every subcommand succeeds with it."""
    job = new_job(SMALL_JOB)
    end_well(job)
    for words in SUBCOMMANDS:
        assert job.agent(*words).returncode == 0, words
    return job


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="agent-init-broken-", dir="/var/tmp") as path:
        pathlib.Path(path).chmod(0o755)
        yield pathlib.Path(path)


def compiled(target, source, *options):
    subprocess.run(["cc", *options, "-o", target, "-xc", "-"], input=source.encode(), check=True)


def with_agentd(job, folder, data=None):
    """Gives the job programs of its own, with `data` in the place of agentd."""
    for name in ("agent-init", "agent-jail", "agentd"):
        shutil.copy(jobs.programs() / name, folder)
    if data is not None:
        (folder / "agentd").write_bytes(data)
    job.programs = folder


def does_nothing(kind, job, folder):
    """Puts something in the way that ends with 0 before agentd has done anything; the environment for it."""
    with_agentd(job, folder, b"#!/bin/sh\nexit 0\n" if kind == "script" else None)
    if kind == "program":
        compiled(folder / "agentd", "int main(void) { return 0; }", "-static")
    if kind != "preload":
        return []
    library = folder / "ends.so"
    compiled(library, "#include <unistd.h>\n__attribute__((constructor)) static void f(void) { _exit(0); }",
             "-shared", "-fPIC")
    return ["/usr/bin/env", f"LD_PRELOAD={library}"]


def run(job, *words, before=()):
    """The code, the output and the log of `agent-init WORDS…`; `before`: a command line that executes it."""
    line = job.command(*words)
    place = len(line) - 1 - len(words)
    done = subprocess.run([*line[:place], *before, *line[place:]], env=job.settings, cwd="/", capture_output=True,
                          text=True, timeout=jobs.HANGS, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("kind", ["script", "program", "preload"])
def test_what_ends_with_0_in_the_place_of_agentd_is_an_internal_error_and_never_a_success(done_job, folder, kind):
    before = does_nothing(kind, done_job, folder)
    code, out, log = run(done_job, "run", before=before)
    message = json.loads(done_job.termination_log.read_text())
    assert code == 70, log
    assert (message["outcome"], message["exit_code"]) == ("internal_error", 70)
    assert "exited with 0 without saying that it is done 6 times; its restart budget is spent" in message["reason"]
    for words in SUBCOMMANDS:
        code, out, log = run(done_job, *words, before=before)
        assert code == 70 and out == "" and log.count("\n") == 1, (words, code, log)
        assert "ended without a word of what it has done" in log and "(exit code 70)" in log


def lacking(what):
    """agentd with another name for one of its libraries, or for its loader."""
    data = (jobs.programs() / "agentd").read_bytes()
    name = LIBRARY if what == "library" else b"/ld-linux-"
    assert data.count(name) >= 1
    return data.replace(name, name.replace(b"l", b"X", 1))


def test_a_missing_library_is_named_at_once_and_once(done_job, folder):
    with_agentd(done_job, folder, lacking("library"))
    code, out, log = run(done_job, "run")
    message = json.loads(done_job.termination_log.read_text())
    assert (code, message["exit_code"], message["restarts"]) == (70, 70, 0), log
    assert "error while loading shared libraries: Xibnats.so" in message["reason"]
    assert log == f"agent-init: internal_error, exit code 70: {message['reason']}\n"
    for words in SUBCOMMANDS:
        code, out, log = run(done_job, *words)
        assert code == 70 and out == "" and "error while loading shared libraries: Xibnats.so" in log, (words, log)
        assert log.count("\n") == 2 and log.endswith("as the line above says (exit code 70)\n")


def test_a_missing_loader_is_told_at_once_and_once(done_job, folder):
    with_agentd(done_job, folder, lacking("loader"))
    code, out, log = run(done_job, "run")
    message = json.loads(done_job.termination_log.read_text())
    assert (code, message["exit_code"], message["restarts"]) == (70, 70, 0), log
    assert "could not be started (posix_spawn " in message["reason"] and "No such file" in message["reason"]
    assert log == f"agent-init: internal_error, exit code 70: {message['reason']}\n"
    for words in SUBCOMMANDS:
        code, out, log = run(done_job, *words)
        assert code == 70 and out == "" and "its interpreter does not exist" in log, (words, log)
        assert log.count("\n") == 1


@needs_root
@pytest.mark.parametrize("proc", ["umount -l /proc", "mount -t tmpfs none /proc"], ids=["no /proc", "an empty /proc"])
def test_without_proc_everything_is_refused_with_78_and_says_so(done_job, proc):
    def without(*words, program="agent-init"):
        line = done_job.command(*words)
        line = [str(jobs.programs() / program) if word == str(jobs.programs() / "agent-init") else word for word in line]
        done = subprocess.run(["unshare", "--mount", "--pid", "--fork", "sh", "-c", f'{proc} && exec "$@"', "sh", *line],
                              env=done_job.settings, cwd="/", capture_output=True, text=True, timeout=jobs.HANGS)
        return done.returncode, done.stdout, done.stderr

    for words in [*SUBCOMMANDS, ["run"], ["loop"], ["gateway"], ["restore"]]:
        for program in ["agent-init"] if words == ["run"] else ["agent-init", "agentd"]:
            code, out, log = without(*words, program=program)
            assert (code, out) == (78, "") and log.count("\n") == 1, (words, program, code, out, log)
            assert "/proc is not mounted" in log, (words, program, log)
    assert "/proc is not mounted" in json.loads(done_job.termination_log.read_text())["reason"]
    # agent-init itself needs none: a command runs, and its code is its own.
    assert without("run", "--", "sh", "-c", "exit 3")[0] == 3


def test_agentd_without_a_subcommand_is_64_and_says_what_there_is():
    done = subprocess.run([jobs.programs() / "agentd"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (64, "")
    assert "there is no subcommand" in done.stderr and "Usage: agent-init <subcommand>" in done.stderr


def test_help_that_is_asked_for_is_still_a_success():
    for words in (["help"], ["--help"], ["help", "verify"], ["verify", "--help"], ["--version"]):
        done = subprocess.run([jobs.programs() / "agentd", *words], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "") and done.stdout, words
        assert subprocess.run([jobs.programs() / "agent-init", *words], capture_output=True).returncode == 0, words


def test_a_subcommand_ends_with_the_agent_init_that_started_it(done_job):
    """Else `exec` would go on when its caller has killed it."""
    line = done_job.command("exec", "--", "sh", "-c", "echo here; exec sleep 600")
    process = subprocess.Popen(line, env=done_job.settings, cwd="/", stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert process.stdout.readline() == b"here\n"
    process.kill()
    process.wait()
    # The end of the pipe: nobody is left who could write to it.
    assert select.select([process.stdout], [], [], jobs.STEP_HANGS)[0] and process.stdout.read() == b""
    process.stdout.close()
