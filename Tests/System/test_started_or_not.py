"""125 means that nothing of the command has run, and 123 that it was started and its end is not known: no caller repeats
what may have happened."""

import json
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

import process_tree
from job import HANGS, eventually, programs
from job_ends import end_well
from turns import execute, job_of, turn

RUNS = "echo ran >> effects; touch begun; sleep 60"


def janitors():
    return [pid for pid, name in process_tree.descendants(os.getpid()) if name == "agent-jail"]


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["plain", "json"])
def test_a_command_whose_janitor_is_killed_is_123(sandbox, options):
    process = sandbox.start("exec", *options, "--", "bash", "-c", RUNS)
    eventually("it runs", lambda: (sandbox.project / "begun").exists())
    for pid in janitors():
        os.kill(pid, signal.SIGKILL)
    out, err = process.communicate(timeout=HANGS)
    assert process.returncode == 123 and (sandbox.project / "effects").read_text() == "ran\n"
    if options:
        result = json.loads(out)
        assert (result["end"], result["exit_code"]) == ("lost", 123) and "agent-jail was killed" in result["message"]
    else:
        assert "its end is not known" in err.decode() and "before you repeat it" in err.decode()


def test_the_tool_says_that_the_end_is_not_known(new_job):
    job = new_job(job_of(
        turn(execute(RUNS, timeout_seconds=60)),
        turn(execute("cat effects"), expect=["its end is not known: agent-jail was killed", "look before you repeat it"]),
        turn(execute("true"), expect=["ran\n"])))
    run = job.start()
    run.until("it runs", lambda: (job.project / "begun").exists())
    # The one that watches over it; another one waits for the next command.
    [main] = [pid for pid, name in job.alive() if name == "sleep"]
    os.kill(int(pathlib.Path(f"/proc/{main}/stat").read_text().rsplit(")", 1)[1].split()[1]), signal.SIGKILL)
    ended = run.wait()
    assert ended.code == 0, ended
    facts = job.journal().results("execute")["2.0"]["facts"]
    assert facts["lost"] is True and "exit_code" not in facts


@pytest.mark.parametrize(("fault", "code"), [
    ("it is not there", 125), ("it cannot be executed", 125), ("it says nothing", 123), ("it says what nobody knows", 123),
])
def test_an_agent_jail_that_is_no_good(sandbox, tmp_path, fault, code):
    folder = sandbox.make(sandbox.root / "bin")
    for name in ("agent-init", "agentd"):
        shutil.copy(programs() / name, folder)
    jail = folder / "agent-jail"
    if fault == "it cannot be executed":
        jail.write_text("no program\n")
    elif fault == "it says nothing":
        jail.write_text("#!/bin/sh\nexit 0\n")
    elif fault == "it says what nobody knows":
        jail.write_text("#!/bin/sh\necho finished=0 >&3\n")
    if jail.exists():
        jail.chmod(0o755)
    line = sandbox.line("exec", "--json", "--", "touch", "ran")
    line[line.index(str(programs() / "agent-init"))] = str(folder / "agent-init")
    done = subprocess.run(line, env=sandbox.settings, cwd="/", capture_output=True, timeout=HANGS)
    assert done.returncode == code, done
    assert not (sandbox.project / "ran").exists()


@pytest.mark.parametrize("kind", ["descriptors", "processes"])
def test_whatever_is_scarce_125_is_said_only_if_nothing_has_run(workspace, kind):
    """With descriptors, and processes, from too few to enough."""
    seen = set()
    effects = workspace.project / "effects"
    for limit in [*range(3, 15), *range(15, 48, 8)]:
        effects.unlink(missing_ok=True)
        under = ["/usr/bin/prlimit", f"--nofile={limit}:{limit}"] if kind == "descriptors" else [
            "/usr/bin/prlimit", f"--nproc={limit}"]
        done = workspace.run("echo ran >> effects", under=under)
        seen.add(done.code)
        ran = effects.exists()
        assert done.code != 125 or not ran, (limit, done)
        assert done.code != 0 or ran, (limit, done)
    if kind == "descriptors":
        assert {0, 125} <= seen, "from too few to enough"
