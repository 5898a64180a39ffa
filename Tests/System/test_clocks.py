"""A clock that is a day wrong, and one that is set while a job runs: no wait becomes longer by it, and nothing is lost."""

import pathlib
import re

import pytest

from job import Job, free_port
from job_ends import end_well
from job_nats import HELD, check_log, client, go, nats, send, with_nats  # noqa: F401 (fixtures)
from nats_client import NATS
from nats_process import NATSProcess
from set_clock import DAY, SetClock
from test_snapshots import Objects
from turns import SMALL_JOB, call, complete, done, execute, job_of, plan, turn

BUSY = {"status": 529, "times": 100_000}
BOTH = pytest.mark.parametrize("ahead", [DAY, -DAY], ids=["a day ahead", "a day behind"])


def out(script):
    """The script on a server that has no time for its second answer."""
    first, second, *rest = script["turns"]
    return {"turns": [first, {**second, "fault": BUSY}, *rest]}


# MARK: the LLM


@BOTH
def test_a_wait_for_the_llm_that_another_clock_recorded_is_not_longer_than_it_was_meant(new_job, ahead):
    job = new_job(out(SMALL_JOB), AGENT_LLM_OUTAGE_SECONDS="1")
    clock = SetClock(job, ahead)
    ended = job.run()
    assert (ended.code, ended.message["outcome"]) == (75, "try_again"), ended
    [retry_at] = [event["retryAt"] for event in job.journal().of("llm_failed")][-1:]
    now = job.root.stat().st_mtime * 1000
    assert (retry_at > now + DAY * 500) == (ahead > 0), "the clock was not a day off: this test shows nothing"
    clock.right()
    job.serve(SMALL_JOB)
    # It asks in this start, without a patience that a wait could use up.
    end_well(job, forgot=True)


@BOTH
def test_a_clock_that_is_set_while_the_llm_is_out_makes_no_wait_longer_and_uses_no_budget_up(new_job, ahead):
    job = new_job(out(SMALL_JOB), AGENT_MAX_WALL_SECONDS="3600", AGENT_LLM_OUTAGE_SECONDS="600")
    clock = SetClock(job)
    run = job.start()
    run.until("the wait", lambda: job.ask("SELECT 1 FROM head WHERE status = 'backoff'"))
    clock.set(ahead)
    failures = job.ask("SELECT count(*) FROM event WHERE kind = 'llm_failed'")[0]
    run.until("the next try", lambda: job.ask("SELECT count(*) FROM event WHERE kind = 'llm_failed'")[0] > failures)
    assert run.stop().code == 143
    job.serve(SMALL_JOB)
    end_well(job, forgot=True)
    assert job.journal().spent["wall_ms"] < 3_600_000


def test_a_clock_that_was_right_again_leaves_time_in_the_journal_in_order_and_counting(new_job):
    job = new_job(job_of(turn(execute("true"))))
    clock = SetClock(job, DAY)
    run = job.start()
    run.until("a step", lambda: job.ask("SELECT 1 FROM event WHERE kind = 'llm_done'"))
    assert run.stop().code in (0, 143)
    spent = job.journal().spent["wall_ms"]
    clock.right()
    job.serve({"turns": [{**one, "delay_ms": 400} for one in job.script["turns"]]})
    end_well(job, forgot=True)
    journal = job.journal()
    times = [event.time for event in journal.events]
    assert times == sorted(times)
    waited = sum(event["duration"] for event in journal.of("llm_done") if event.epoch == journal.head["epoch"])
    assert journal.spent["wall_ms"] - spent >= waited > 0


# MARK: humans


def switches(job):
    """How often the loop has gone to sleep."""
    text = pathlib.Path(f"/proc/{job.pid('loop')}/status").read_text()
    return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.M)[1])


def asks(text):
    return {"turns": [turn(call("ask_human", question=text)), plan("Work"), turn(done("t1")), complete()]}


def test_a_human_is_not_waited_for_a_day_longer_because_the_clock_was_set_back(nats, new_job):  # noqa: F811
    job = with_nats(new_job, nats, asks("Which colour?"), AGENT_INPUT_WAIT_SECONDS="3")
    clock = SetClock(job, DAY)
    run = job.start()
    run.until("the question", lambda: job.ask("SELECT 1 FROM head WHERE status = 'needs_input'"))
    clock.set(0)
    ended = run.wait()
    assert (ended.code, ended.message["outcome"]) == (75, "needs_input")
    assert "nothing came in 3 s" in ended.message["reason"]


def test_a_human_has_the_time_that_was_said_though_the_clock_is_set_forward(nats, client, new_job):  # noqa: F811
    job = with_nats(new_job, nats, asks("Which colour?"), AGENT_INPUT_WAIT_SECONDS="3600")
    clock = SetClock(job)
    run = job.start()
    run.until("the question", lambda: job.ask("SELECT 1 FROM head WHERE status = 'needs_input'"))
    clock.set(DAY)
    # It looks at the clock each time that it wakes up, which is once a second.
    woken = switches(job)
    run.until("it has looked at the clock", lambda: switches(job) > woken + 3)
    send(client, job, "message", "Green.")
    ended = run.wait()
    assert (ended.code, ended.message["outcome"]) == (0, "completed"), ended


# MARK: NATS


def test_a_clock_that_is_set_back_does_not_hold_up_the_log_until_it_has_caught_up(new_job, tmp_path):
    """nats.c waits by that clock: for its next attempt to connect, among others."""
    port = free_port()
    job = new_job(job_of(turn(execute(HELD, timeout_seconds=600))), NATS_URL=f"nats://127.0.0.1:{port}",
                  AGENT_NATS_CREATE_STREAMS="true")
    clock = SetClock(job, DAY)
    run = job.start()
    run.until("the command", lambda: job.file("effects") == "begun\n")
    clock.set(0)
    with NATSProcess(tmp_path / "nats", "-p", str(port)) as server, NATS(server.url) as client:  # noqa: F811
        Job.spared.add(server.process.pid)
        run.until("the log", lambda: client.stream_of(f"logs.agent.{job.name}") is not None)
        go(job)
        ended = run.wait()
        assert ended.code == 0, ended
        check_log(client, job)


@BOTH
def test_the_log_is_whole_though_the_clock_is_set_while_it_is_delivered(nats, client, new_job, ahead):  # noqa: F811
    job = with_nats(new_job, nats, job_of(turn(execute(HELD, timeout_seconds=600)), turn(execute("seq 1 3000"))))
    clock = SetClock(job)
    run = job.start()
    run.until("the command", lambda: job.file("effects") == "begun\n")
    clock.set(ahead)
    go(job)
    ended = run.wait()
    assert (ended.code, ended.message["outcome"]) == (0, "completed"), ended
    check_log(client, job)


# MARK: files


def test_what_another_pod_is_storing_is_not_taken_away_by_a_clock_that_is_ahead(new_job):
    job = new_job(SMALL_JOB)
    objects = Objects(job)
    folder = objects.folder / "jobs" / job.name / "snapshots"
    folder.mkdir(parents=True)
    under_way = folder / "~under-way"
    under_way.write_text("half of it")
    job.own(*[objects.folder / part for part in ("jobs", f"jobs/{job.name}", f"jobs/{job.name}/snapshots")], under_way)
    SetClock(job, DAY)
    end_well(job)
    assert objects.manifests() and under_way.exists()


def test_after_a_kill_by_another_clock_the_model_is_not_told_that_no_file_has_changed(new_job):
    job = new_job(job_of(turn(execute("echo one >> effects; sleep 600", timeout_seconds=600)),
                         turn(execute("true"), expect=["interrupted", "Which files have changed since it began is not known"])))
    clock = SetClock(job, DAY)
    run = job.start()
    run.until("the command", lambda: job.file("effects") == "one\n")
    job.kill()
    clock.right()
    end_well(job)
