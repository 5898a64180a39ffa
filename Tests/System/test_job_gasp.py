"""Whatever dies of a job, its last words get out, once: whole jobs, real deaths."""

import os
import signal

import pytest

from turns import execute, job_of, turn

WAITING = "echo one >> effects; until [ -e ../home/go ]; do sleep 0.05; done"


def gasps(*runs):
    """The last-gasp records on the stdout of the runs."""
    return [record for run in runs for record in run.records if record["stream"] == "last_gasp"]


def waiting_job(new_job, *then, **settings):
    """A job that stands in a command until `go`; `then`: what it does after it."""
    then = then or [turn(execute("echo two >> effects"))]
    job = new_job(job_of(turn(execute(WAITING, timeout_seconds=600)), *then), **settings)
    run = job.start()
    run.until("the command runs", lambda: job.file("effects") == "one\n")
    return job, run


def go(job):
    (job.workspace / "home/go").touch()


@pytest.mark.parametrize("role", ["loop", "gateway"])
def test_a_crash_tells_its_stack_and_the_job_goes_on(new_job, role):
    job, run = waiting_job(new_job)
    victim = run.until("its process", lambda: job.pid(role))
    os.kill(victim, signal.SIGSEGV)
    run.until("its successor is announced", lambda: "restart 1" in run.read("err"))
    go(job)
    ended = run.wait()
    assert ended.code == 0, ended
    record, = gasps(ended)
    assert record["body"].startswith(f"the {role} was killed by signal 11 (SIGSEGV); the last it wrote:\n")
    assert f"{role}: SIGSEGV; the stack of the thread:\n" in record["body"] and record["body"].count("agentd(") > 3
    seen = record["attributes"]
    assert (seen["process.pid"], seen["process.signal"], seen["agent.phase"]) == (victim, "SIGSEGV", "TACTICAL")
    assert seen["agent.doing"].endswith("(execute)") and seen["process.max_rss_kb"] > 1000
    assert not list((job.checkpoints / "gasps_job-1").iterdir())


def test_a_loop_says_where_it_is_when_asked_and_goes_on(new_job):
    job, run = waiting_job(new_job)
    os.kill(run.until("the loop", lambda: job.pid("loop")), signal.SIGQUIT)
    run.until("its stack", lambda: "SIGQUIT; the stack of the thread" in run.read("out"))
    go(job)
    ended = run.wait()
    assert ended.code == 0 and not gasps(ended) and ended.message["restarts"] == 0


def test_a_loop_that_hangs_is_replaced_and_the_call_it_hung_in_is_told(new_job):
    job, run = waiting_job(new_job, AGENT_WATCHDOG_SECONDS="10")
    os.kill(run.until("the loop", lambda: job.pid("loop")), signal.SIGSTOP)
    run.until("it is found", lambda: "the loop hangs" in run.read("err"))
    go(job)
    ended = run.wait()
    assert ended.code == 0, ended
    record, = gasps(ended)
    assert record["body"] == "the loop hung and was killed by signal 9 (SIGKILL)"
    assert record["attributes"]["agent.doing"].endswith("(execute)")
    assert job.file("effects") == "one\ntwo\n", "the command was not run again"


def test_a_crash_loop_ends_with_70_and_everything_shipped_first(new_job):
    # However late a kill comes, the job does not end before it.
    job, run = waiting_job(new_job, *[turn(execute("sleep 600", timeout_seconds=600))] * 6)
    killed = set()
    while run.process.poll() is None:
        pid = job.pid("loop")
        if pid and pid not in killed:
            killed.add(pid)
            os.kill(pid, signal.SIGILL)
    ended = run.wait()
    assert ended.code == 70 and "its restart budget is spent" in ended.message["reason"]
    records = gasps(ended)
    assert {record["attributes"]["process.pid"] for record in records} == killed and len(records) == len(killed) == 6
    assert [record["attributes"]["process.restarts"] for record in records] == list(range(6))
    assert not list((job.checkpoints / "gasps_job-1").iterdir())


def test_what_could_not_be_shipped_before_all_was_killed_is_shipped_by_the_next_pod_once(new_job):
    job, run = waiting_job(new_job)
    os.kill(run.until("the gateway", lambda: job.pid("gateway")), signal.SIGSTOP)
    os.kill(run.until("the loop", lambda: job.pid("loop")), signal.SIGABRT)
    folder = job.checkpoints / "gasps_job-1"
    run.until("its record", lambda: list(folder.glob("*.gasp")))
    job.kill()
    go(job)
    ended = job.run()
    assert ended.code == 0
    record, = gasps(ended)
    assert record["attributes"]["process.signal"] == "SIGABRT" and not list(folder.iterdir())
