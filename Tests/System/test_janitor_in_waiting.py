"""The loop's janitor that waits for a command while the model is asked: what becomes of it, and of the command."""

import contextlib
import os
import pathlib
import shutil
import signal

import pytest

import process_tree
from job import eventually, programs
from turns import call, complete, done, execute, job_of, plan, turn

RUN = "echo $PPID >> ../home/janitor; echo right"
WAIT = "touch ../home/here; until [ -e ../home/go ]; do sleep 0.02; done"


def words(pid):
    """The command line of a process, empty if it has gone."""
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return []


def waiting(job, others=()):
    """The pid of the janitor that waits for a command, None if none does. It sleeps only when it has said so."""
    table = process_tree.processes()
    for pid, name in job.alive():
        if name == "agent-jail" and words(pid)[1:2] == ["--wait-fd"] and pid not in others \
                and pid in table and table[pid][2] == "S":
            return pid
    return None


@contextlib.contextmanager
def while_the_model_is_asked(job, run=None):
    """Holds the model's next answer back. Gives the run, and the janitor that waits. A run that is there already stands
    in the command `WAIT`, and goes on from it."""
    others = [pid for pid, name in job.alive() if name == "agent-jail"]
    os.kill(job.model.process.pid, signal.SIGSTOP)
    try:
        if run:
            (job.workspace / "home/go").touch()
        run = run or job.start()
        yield run, run.until("a janitor that waits", lambda: waiting(job, others))
    finally:
        os.kill(job.model.process.pid, signal.SIGCONT)


def standing(job):
    """Starts the job, and comes back when it stands in `WAIT`."""
    run = job.start()
    run.until("the command that waits", (job.workspace / "home/here").exists)
    return run


def planned(*turns):
    """A job whose first turns are strategic ones, with commands."""
    return {"turns": [*turns, plan("Work"), turn(done("t1")), complete()]}


def janitors(job):
    """The janitors of the commands `RUN`, one each."""
    return [int(pid) for pid in (job.workspace / "home/janitor").read_text().split()]


def ends_well(job, run):
    ended = run.wait()
    assert ended.code == 0, ended
    assert job.refusals() == [] and not job.alive()
    journal = job.journal()
    journal.check(model=job.model.log())
    return journal


def test_the_next_command_is_the_one_that_it_waits_for(new_job):
    job = new_job(planned(turn(execute(RUN)), turn(execute(RUN), expect=["exit code 0\nright\n"])))
    with while_the_model_is_asked(job) as (run, first):
        pass
    ends_well(job, run)
    ran = janitors(job)
    assert ran[0] == first and len(set(ran)) == 2, "each has one command"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_if_it_is_killed_while_it_waits_the_command_runs_all_the_same_and_once(new_job, number):
    job = new_job(planned(turn(execute(RUN)), turn(execute("true"), expect=["exit code 0\nright\n"]),
                          turn(execute(WAIT)), turn(execute("true"))))
    with while_the_model_is_asked(job) as (run, victim):
        os.kill(victim, number)
        eventually("it has ended", lambda: process_tree.processes().get(victim, (0, "", "Z"))[2] in "ZX")
    run.until("the command that waits", (job.workspace / "home/here").exists)
    loop = job.pid("loop")
    dead = [name for parent, name, state in process_tree.processes().values() if parent == loop and state == "Z"]
    # The one before may have reported just now.
    assert [name for name in dead if name != "agent-jail"] == [], "nor the process that it had made for the command"
    (job.workspace / "home/go").touch()
    ends_well(job, run)
    [janitor] = janitors(job)
    assert janitor != victim


def test_fifty_commands_in_a_row_leave_no_process(new_job):
    job = new_job(planned(*[turn(execute(RUN)) for _ in range(50)], turn(execute(WAIT))))
    run = standing(job)
    loop = job.pid("loop")
    ours = [(name, state) for parent, name, state in process_tree.processes().values() if parent == loop]
    assert len([one for one in ours if one[0] == "agent-jail"]) <= 3, "the command's, the next one's, and the last one"
    assert [one for one in ours if one[0] != "agent-jail"] == []
    (job.workspace / "home/go").touch()
    ends_well(job, run)
    assert len(set(janitors(job))) == 50


def test_a_request_that_is_too_long_for_it_runs_in_another_and_it_goes_on_waiting(new_job):
    long = f": {'x' * 99_000}; {RUN}"
    job = new_job(planned(turn(execute(long)), turn(execute(RUN), expect=["exit code 0\nright\n"]),
                          turn(execute("true"), expect=["exit code 0\nright\n"])))
    with while_the_model_is_asked(job) as (run, first):
        pass
    ends_well(job, run)
    other, same = janitors(job)
    assert same == first != other


@pytest.mark.parametrize("place", ["project", "home", "tmp"])
def test_a_place_that_was_replaced_meanwhile_is_closed_and_never_the_old_one(new_job, place):
    """The loop's own domain, around the jail, holds the folders of its start."""
    path = f"../{place}"
    job = new_job(planned(turn(execute(f"touch {path}/stray {path}.before/stray || echo tried $PPID"))))
    job.change(AGENT_TMP=str(job.workspace / "tmp"))
    folder = job.workspace / place
    with while_the_model_is_asked(job) as (run, janitor):
        before = folder.rename(folder.with_name(f"{place}.before"))
        folder.mkdir()
        job.own(folder)
    run.wait()
    assert list(before.rglob("stray")) == list(folder.rglob("stray")) == []
    told = job.told(1)
    assert f"tried {janitor}\n" in told and told.count("Permission denied") == 2, told


HANGING = """#!/bin/sh
[ "$1" = --wait-fd ] && exec sleep 1000
exec {real} "$@"
"""


def test_one_that_is_never_ready_is_ended_and_reaped_and_the_command_runs_in_another(new_job, monkeypatch):
    look = "[ -e /proc/$(cat ../home/victim) ] || echo gone"
    job = new_job(planned(turn(execute(RUN)), turn(execute(look), expect=["exit code 0\nright\n"]),
                          turn(execute("true"), expect=["exit code 0\ngone\n"])))
    folder = pathlib.Path(shutil.copytree(programs(), job.root / "programs"))
    real = (folder / "agent-jail").rename(folder / "agent-jail-itself")
    (folder / "agent-jail").write_text(HANGING.format(real=real))
    (folder / "agent-jail").chmod(0o755)
    monkeypatch.setattr("job.programs", lambda: folder)
    os.kill(job.model.process.pid, signal.SIGSTOP)
    run = job.start()
    victim = run.until("one that hangs", lambda: next((pid for pid, name in job.alive() if name == "sleep"), None))
    (job.workspace / "home/victim").write_text(str(victim))
    os.kill(job.model.process.pid, signal.SIGCONT)
    ends_well(job, run)
    assert len(janitors(job)) == 1 and victim not in janitors(job)


def test_it_ends_with_its_loop(new_job):
    job = new_job(planned(turn(execute(RUN)), turn(execute("true"), expect=["exit code 0\nright\n"])))
    with while_the_model_is_asked(job) as (run, orphan):
        os.kill(job.pid("loop"), signal.SIGKILL)
        eventually("it has gone", lambda: orphan not in process_tree.processes())
    ends_well(job, run)
    assert orphan not in janitors(job)


# MARK: What a command may do is what is asked for, not what was expected

def test_expected_while_planning_it_runs_a_command_that_may_write(new_job):
    job = new_job(job_of(turn(execute(f"{RUN}; touch made")), deliverables=["made"]))
    with while_the_model_is_asked(job) as (run, janitor):
        assert "strategic" in words(janitor)
    ends_well(job, run)
    assert janitors(job) == [janitor] and (job.project / "made").exists()


def test_expected_while_working_it_runs_a_command_that_may_not(new_job):
    job = new_job({"turns": [
        plan("Work"), turn(execute(WAIT)), turn(call("end_phase", reason="to look")),
        turn(execute(f"{RUN}; touch made")), turn(call("begin_tactical"), expect=["right\n", "Permission denied"]),
        turn(done("t1")), complete()]})
    with while_the_model_is_asked(job, standing(job)) as (run, janitor):
        assert "tactical" in words(janitor)
    ends_well(job, run)
    assert janitors(job) == [janitor] and not (job.project / "made").exists()


# MARK: What a command may do to it

TRIES = """until [ -s ../home/victim ]; do sleep 0.02; done; v=$(cat ../home/victim)
for n in 0 TERM KILL STOP; do kill -$n $v && echo signal $n; done
for file in environ maps mem fd/3 fdinfo/3; do head -c 1 /proc/$v/$file && echo $file; done
ls /proc/$v/fd /proc/$v/root /proc/$v/cwd && echo folders
renice -n 19 -p $v && echo priority; prlimit --pid $v --nofile=9:9 && echo limits
echo tried > ../home/tried"""


def test_a_command_in_the_background_does_not_reach_the_one_that_waits(new_job):
    look = call("background", action="status", id="2.0")
    job = new_job(job_of(turn(execute(TRIES, background=True), execute(WAIT)), turn(execute(RUN), look),
                         turn(execute("true"), expect=["exit code 0\nright\n", "2.0 has ended"])))
    with while_the_model_is_asked(job, standing(job)) as (run, janitor):
        (job.workspace / "home/victim").write_text(str(janitor))
        run.until("its tries", (job.workspace / "home/tried").exists)
    ends_well(job, run)
    assert janitors(job) == [janitor]
    tried = (job.outputs / "2.0.out").read_text()
    assert "Operation not permitted" in tried and "Permission denied" in tried
    got = {"signal", "environ", "maps", "mem", "fd/3", "fdinfo/3", "folders", "priority", "limits"}
    assert [line for line in tried.splitlines() if line.split()[0] in got and len(line.split()) < 3] == []
