"""What a jailed command cannot do.

Each escape is tried without the jail first: an attempt that fails anyway proves nothing. The same ones are tried in a
container that is restricted as a pod is (test_container.py)."""
import pathlib
import signal
import subprocess

import pytest

from escapes import ESCAPES, LISTENER, bare_needs


@pytest.fixture
def outsider(workspace):
    """A process outside: to be signalled, read, and connected to. Gives what a script needs to find it."""
    name = str(workspace.root)
    process = workspace.background(["/usr/bin/python3", "-c", LISTENER, name], stdout=subprocess.PIPE, text=True)
    port = process.stdout.readline().strip()
    process.facts = f"export VICTIM={process.pid} PORT={port} ABSTRACT={name} SOCKET={name}/socket\n"
    process.port = int(port)
    return process


@pytest.mark.parametrize("escape", ESCAPES)
def test_an_escape_works_without_the_jail_and_not_within(workspace, outsider, escape):
    if (missing := bare_needs(escape)):
        pytest.skip(missing)
    # In the jail first: the bare one may take away what is there to be had.
    jailed = workspace.run(outsider.facts + ESCAPES[escape])
    assert jailed.code not in (0, 125), jailed
    assert jailed.report["exited"] == str(jailed.code)
    assert (workspace.outside / "secret").read_text() == "hunter2"
    bare = workspace.bare(outsider.facts + ESCAPES[escape])
    assert bare.code == 0, bare


def test_kill_9_to_all_harms_only_the_command_itself(workspace, outsider):
    done = workspace.run("sleep 1000 & kill -9 -1; wait; echo still here")
    assert done.out == "still here\n"
    assert done.code == 0
    assert outsider.poll() is None


def test_the_janitor_cannot_be_signalled_traced_or_read(workspace):
    # The command's parent is the janitor.
    done = workspace.run("kill -9 $PPID || kill -STOP $PPID || cat /proc/$PPID/environ || cat /proc/$PPID/maps || exit 5")
    assert done.code == 5
    assert done.out == ""
    assert done.report["exited"] == "5"


def test_a_process_of_the_same_user_cannot_read_the_janitor_either(workspace):
    if workspace.uid == 0:
        pytest.skip("root may read everything")
    process = workspace.start("echo ready; sleep 1000")
    assert process.stdout.readline() == "ready\n"
    assert workspace.bare(f"cat /proc/{process.pid}/environ").code != 0
    assert workspace.bare(f"ls /proc/{process.pid}/fd").code != 0
    assert workspace.bare("cat /proc/self/environ").code == 0
    process.send_signal(signal.SIGTERM)
    workspace.finish(process)


def test_no_capability_and_no_way_to_one(workspace):
    done = workspace.run("grep -E 'Cap(Inh|Prm|Eff|Amb)|NoNewPrivs' /proc/self/status")
    values = dict(line.split(":\t") for line in done.out.splitlines())
    assert values.pop("NoNewPrivs") == "1"
    assert {int(value, 16) for value in values.values()} == {0}
