"""When a jailed command is over, nothing of it is left, and it is over in time."""
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import uuid

import pytest

from jailed import HANGS

# MARK: What stays, and how long it takes to go

DAEMONS = """
import os, signal, sys, time
for number in range(30):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(100000)
        os._exit(0)
for number in range(30): os.wait()
"""


def test_daemons_that_left_the_session_and_ignore_sigterm_are_dead_when_it_returns(workspace):
    marker = f"marker-{uuid.uuid4()}"
    done = workspace.run(f"/usr/bin/python3 -c '{DAEMONS}' {marker}")
    assert done.code == 0
    assert done.report["killed"] == "30"
    assert workspace.alive(marker) == []


def test_a_fork_bomb_is_dead_when_it_returns(workspace):
    marker = f"marker-{uuid.uuid4()}"
    # Each forks on as fast as it can, up to 2 to the 8th processes at once; all that is modest is the depth.
    bomb = "import os, signal, time\nsignal.signal(15, signal.SIG_IGN)\nfor depth in range(8): os.fork() or os.setsid()\ntime.sleep(100000)"
    done = workspace.run(f"/usr/bin/python3 -c '{bomb}' {marker}", timeout_ms=1500, grace_ms=0)
    assert done.code == 124
    assert int(done.report["killed"]) > 100
    assert workspace.alive(marker) == []


def test_a_process_that_made_itself_the_commands_sibling_is_dead_too(workspace):
    marker = f"marker-{uuid.uuid4()}"
    # clone with CLONE_PARENT: a child of the janitor itself.
    number = {"x86_64": 56, "aarch64": 220}[platform.machine()]
    code = f"import ctypes, time\nctypes.CDLL(None).syscall({number}, 0x8000, 0, 0, 0, 0) or time.sleep(100000)"
    done = workspace.run(f"/usr/bin/python3 -c '{code}' {marker}")
    assert done.code == 0
    assert workspace.alive(marker) == []


def test_what_has_piled_up_all_domains_that_the_kernel_takes_is_dead_too(workspace):
    """A domain of the command's own lies within the janitor's, however many there are: 16, of which the jail has two."""
    marker = f"marker-{uuid.uuid4()}"
    shutil.copy(pathlib.Path(__file__).with_name("with_domains.py"), workspace.project)
    daemon = f"setsid python3 -c 'import time; time.sleep(100000)' {marker} & echo $DOMAINS; exit 3"
    done = workspace.run(["python3", "with_domains.py", "all", "/bin/bash", "-c", daemon])
    assert (done.code, done.out, done.report["killed"]) == (3, "14\n", "1"), done
    assert workspace.alive(marker) == []


def test_it_returns_although_a_daemon_holds_its_output_open(workspace):
    marker = f"marker-{uuid.uuid4()}"
    done = workspace.run(f"setsid sleep 100000.{marker[-4:].translate({ord(c): '7' for c in 'abcdef'})} & echo out")
    assert done.out == "out\n"
    assert done.report["exited"] == "0"
    assert done.report["killed"] == "1"


def test_the_time_limit_ends_the_whole_tree(workspace):
    marker = f"marker-{uuid.uuid4()}"
    script = f"trap '' TERM; (setsid python3 -c 'import time; time.sleep(100000)' {marker}) & sleep 100000; sleep 100000"
    done = workspace.run(script, timeout_ms=300, grace_ms=100)
    assert done.code == 124
    assert done.report["timeout"] is True
    assert workspace.alive(marker) == []


def test_at_the_time_limit_a_command_can_still_clean_up(workspace):
    done = workspace.run(
        "trap 'echo cleaned; exit 0' TERM; echo ready; while :; do sleep 0.05; done", timeout_ms=500, grace_ms=60_000)
    assert done.out == "ready\ncleaned\n"
    assert done.code == 124
    assert done.report["killed"] == "0"


def test_a_stopped_process_gets_the_sigterm_too(workspace):
    done = workspace.run("trap 'echo cleaned; exit 0' TERM; kill -STOP $$; :", timeout_ms=300, grace_ms=60_000)
    assert done.out == "cleaned\n"
    assert done.report["timeout"] is True


@pytest.mark.parametrize("order", [b"kill\n", None, b"something else\n"], ids=["kill", "closed", "not-understood"])
def test_the_control_descriptor_ends_the_whole_tree_at_once(workspace, order):
    marker = f"marker-{uuid.uuid4()}"
    theirs, ours = os.pipe()
    sleeper = f"python3 -c 'import time; time.sleep(100000)' {marker}"
    process = workspace.start(f"trap '' TERM; setsid {sleeper} & echo ready; {sleeper}", control=theirs)
    os.close(theirs)
    assert process.stdout.readline() == "ready\n"
    if order:
        os.write(ours, order)
    else:
        os.close(ours)
    done = workspace.finish(process)
    if order:
        os.close(ours)
    assert done.code == 137
    assert done.report["cancelled"] is True
    assert int(done.report["killed"]) >= 1
    assert workspace.alive(marker) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_to_the_janitor_cancels_the_command(workspace, number):
    process = workspace.start("sleep 100000 & echo ready; wait")
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    done = workspace.finish(process)
    assert (done.code, done.report["cancelled"]) == (137, True)
    assert int(done.report["killed"]) >= 1


def test_if_the_janitor_is_killed_the_command_goes_too(workspace):
    marker = f"marker-{uuid.uuid4()}"
    process = workspace.start(["python3", "-c", "import time; print('ready', flush=True); time.sleep(100000)", marker])
    assert process.stdout.readline() == "ready\n"
    process.kill()
    # Its output ends when it has gone: no time is waited for.
    assert process.communicate(timeout=HANGS)[0] == ""
    assert [pid for pid in workspace.alive(marker) if pid != process.pid] == []


def test_nobody_reading_the_report_changes_nothing(workspace):
    marker = f"marker-{uuid.uuid4()}"
    process = workspace.start(f"setsid python3 -c 'import time; time.sleep(100000)' {marker} & read line; exit 3",
                              stdin=subprocess.PIPE)
    os.close(process.report)
    assert process.communicate("go\n", timeout=HANGS)
    assert process.returncode == 3
    assert workspace.alive(marker) == []
