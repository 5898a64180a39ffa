"""AGENT_COMMAND_FOLDERS: folders of tools of the user's own, that commands may read and execute and no more."""
import os

import pytest

from job_ends import end_well
from turns import execute, job_of, turn


@pytest.fixture
def tools(sandbox):
    """A folder like ~/.cargo, with a program."""
    folder = sandbox.make(sandbox.root / "tools")
    sandbox.make(folder / "bin")
    sandbox.make(folder / "bin/hello", "#!/bin/sh\necho hello from $0\n", 0o755)
    return folder


@pytest.mark.parametrize("profile", ["tactical", "strategic"])
def test_programs_there_run_and_nothing_there_can_be_changed(sandbox, tools, profile):
    settings = {"AGENT_COMMAND_FOLDERS": str(tools), "AGENT_COMMAND_ENV": "PATH", "PATH": f"/usr/bin:/bin:{tools}/bin"}
    done = sandbox.script("hello", "--profile", profile, settings=settings)
    assert done.stdout == f"hello from {tools}/bin/hello\n".encode() and done.returncode == 0, done
    for attempt in ("echo x >> bin/hello", "touch bin/new", "rm bin/hello", "mv bin other", "ln bin/hello hi"):
        done = sandbox.script(f"cd {tools}; {attempt}", "--profile", profile, settings=settings)
        assert done.returncode == 1 and b"ermission denied" in done.stderr, (attempt, done)
    assert (tools / "bin/hello").read_text().startswith("#!")


def test_without_the_setting_nothing_there_can_be_reached(sandbox, tools):
    done = sandbox.script(f"{tools}/bin/hello")
    assert done.returncode == 126 and b"Permission denied" in done.stderr, done


def test_the_loops_commands_have_them(new_job, sandbox, tools):
    refused = execute(f"echo x > {tools}/new || true")
    job = new_job(job_of(turn(execute(f"{tools}/bin/hello")), turn(refused, expect=["hello from"]),
                         turn(execute("true"), expect=[f"{tools}/new lies outside what a command may write"])),
                  AGENT_COMMAND_FOLDERS=str(tools))
    end_well(job)


WRONG = {
    "relative": ("tools", 'has "tools"; '),
    "not there": ("/nowhere/at/all", 'has "/nowhere/at/all"; '),
    "a file": ("/etc/passwd", 'has "/etc/passwd"; '),
    "the root": ("/", "which is everything"),
    "too many": (":".join(["/usr"] * 33), "has 33 folders"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_such_folder_is_78(sandbox, case):
    value, words = WRONG[case]
    done = sandbox.script("true", settings={"AGENT_COMMAND_FOLDERS": value})
    said = done.stderr.decode()
    assert done.returncode == 78 and "AGENT_COMMAND_FOLDERS" in said and words in said, done


def test_what_is_hidden_from_commands_cannot_lie_in_one_nor_one_in_it(sandbox):
    sandbox.make(sandbox.checkpoints / "tools")
    for folder in (sandbox.root, sandbox.workspace, sandbox.checkpoints, sandbox.checkpoints / "tools"):
        done = sandbox.script("true", settings={"AGENT_COMMAND_FOLDERS": str(folder)})
        said = done.stderr.decode()
        assert done.returncode == 78 and "AGENT_COMMAND_FOLDERS" in said and "AGENT_CHECKPOINT_DIR" in said, (folder, done)


def test_a_link_is_granted_as_what_it_leads_to(sandbox, tools):
    link = sandbox.root / "link"
    os.symlink(tools, link)
    settings = {"AGENT_COMMAND_FOLDERS": str(link)}
    assert sandbox.script(f"{tools}/bin/hello", settings=settings).returncode == 0
    assert str(tools) in sandbox.run("doctor", settings={**settings, "AGENT_COMMAND_FOLDERS": str(link)}).stdout.decode()
