"""Before the janitor kills anything it proves that its signals reach only its own: each way in which that may not hold."""
import os
import pathlib
import platform
import subprocess

import pytest

import call_tracer
from jailed import HANGS, WITH_FILTER, parse_report

WITH_DOMAINS = str(pathlib.Path(__file__).resolve().parent / "with_domains.py")
KILL = {"x86_64": 62, "aarch64": 129}[platform.machine()]
LANDLOCK_RESTRICT = 446
EPERM, EAGAIN = 1, 11


@pytest.mark.parametrize("code, words", [(EPERM, "cannot be signalled"), (0, "pretends to have signal scopes")])
def test_where_a_filter_answers_for_every_signal_nothing_is_started(workspace, code, words):
    done = workspace.run("touch ran", under=[WITH_FILTER, f"{KILL}={code}", "--"])
    assert (done.code, done.report.get("not_started")) == (125, "proof"), done
    assert words in done.err
    assert not (workspace.project / "ran").exists()


# The proof's own process, where its parent cannot be signalled, and the command: fork and vfork; clone3.
FORKS = {"x86_64": (56, 58), "aarch64": (220,)}[platform.machine()] + (435,)


@pytest.mark.parametrize("code", [EAGAIN, EPERM])
def test_where_there_can_be_no_process_to_prove_it_by_nothing_is_started_and_the_limit_is_named(workspace, code):
    done = workspace.run(["touch", "ran"], under=[WITH_FILTER, *(f"{number}={code}" for number in FORKS), "--"])
    assert (done.code, done.report.get("not_started")) == (125, "fork"), done
    assert "limit of processes" in done.err
    assert not (workspace.project / "ran").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="needs a pid namespace")
def test_a_parent_outside_of_its_pid_namespace_is_no_process_to_prove_it_by(workspace):
    """getppid(2) is 0 there, and 0 is the caller's own process group to kill(2)."""
    command = ["bash", "-c", "setsid sleep 1000 & touch ran; exit 3"]
    done = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child",
         *workspace.as_user([workspace.jail, *workspace.arguments(command)])], capture_output=True, text=True, timeout=HANGS, env={}, cwd="/")
    assert done.returncode == 3, done
    assert (workspace.project / "ran").exists()


PARENT = """
import os, sys
pid = os.fork()
if pid == 0:
    os.read(0, 1)
    os.execv(sys.argv[1], sys.argv[1:])
print(pid, flush=True)
os.waitpid(pid, 0)
"""


def test_a_parent_that_ends_during_the_proof_proves_nothing_and_another_proof_is_made(workspace):
    reader, writer = os.pipe()
    command = [workspace.jail, *workspace.arguments(["touch", "ran"], extra=["--report-fd", str(writer)])]
    parent = subprocess.Popen(
        workspace.as_user(["/usr/bin/python3", "-c", PARENT, *command]), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        pass_fds=[writer], env={}, cwd="/")
    os.close(writer)
    workspace.children.append(parent)
    janitor = int(parent.stdout.readline())
    call_tracer.seize(janitor)
    parent.stdin.write(b"x")
    parent.stdin.flush()
    call_tracer.run_to(janitor, LANDLOCK_RESTRICT)
    parent.kill()
    parent.wait()
    call_tracer.detach(janitor)
    with os.fdopen(reader) as report:
        fields = parse_report(report.read())
    assert fields.get("exited") == "0", fields
    assert (workspace.project / "ran").exists()


@pytest.mark.parametrize("domains, room", [(13, True), (14, True), (15, False), (16, False)])
def test_in_a_pile_of_domains_that_has_no_room_for_its_two_nothing_is_started(workspace, domains, room):
    done = workspace.run("touch ran", under=[WITH_DOMAINS, str(domains)])
    assert (workspace.project / "ran").exists() == room
    assert done.code == (0 if room else 125), done
    assert room or (done.report.get("not_started") == "landlock" and "at most 16 domains" in done.err), done
