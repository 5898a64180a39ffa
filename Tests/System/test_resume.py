"""A job whose whole process tree is killed, at any moment and again, goes on: nothing is lost, nothing is done twice."""

import contextlib
import json
import os
import random
import signal
import sqlite3
import time
from collections import Counter

import pytest

from job import Job, as_user, eventually
from journal import INTERRUPTED, STOPPED
from job_ends import end_well
from turns import call, complete, done, execute, job_of, plan, turn

WAITS = "echo {0} >> effects; sleep 600 & sleep 600"


def killed(job, run, what, condition):
    """Lets the run come to that moment, kills everything, and returns the journal as it was then."""
    run.until(what, condition)
    names = {name for _, name in job.kill()}
    assert "agent-init" in names and "agentd" in names
    assert run.process.returncode == -signal.SIGKILL
    journal = job.journal()
    journal.check(model=job.model.log())
    return journal


def resumed(job, before):
    """Starts the job again, lets it end well, and checks that it went on from there."""
    journal = end_well(job)
    journal.check(before=before, model=job.model.log())
    assert journal.head["epoch"] == len(journal.of("acquired")) == len(before.of("acquired")) + 1
    went_on = journal.events[len(before.events):]
    first = next((event for event in went_on if event.kind == "phase_changed"), None)
    assert first is None or first["from"] == before.head["phase"], "the phase was not kept"
    return journal


def asking(job, turn):
    return lambda: job.ask("SELECT 1 FROM llm WHERE turn = ? AND state = 'intent'", turn)


# MARK: One moment after the other


def test_killed_while_the_model_answers(new_job):
    job = new_job(job_of(turn(execute("echo one >> effects")),
                         turn(execute("echo two >> effects"), delay_ms=1500)))
    before = killed(job, job.start(), "the third request", asking(job, 3))
    journal = resumed(job, before)
    assert job.file("effects") == "one\ntwo\n"
    hold = next(row["hold"] for row in journal.requests if row["state"] == "lost")
    assert journal.spent["lost_tokens"] == hold, "the lost answer counts as its hold"
    # Asked twice, with the same words.
    texts = {request["last_text"] for request in job.model.log() if request["position"] == 2}
    assert len(texts) == 1


def test_killed_in_the_middle_of_an_answer(new_job):
    # Whatever had come of it is dropped: a tool that was already whole in the stream has not been run.
    job = new_job(job_of(turn(execute("echo one >> effects"), execute("echo two >> effects"), chunk_delay_ms=150)))
    run = job.start()
    run.until("the answer has begun", lambda: any(request["position"] == 1 for request in job.model.log()))
    before = killed(job, run, "the second request", asking(job, 2))
    resumed(job, before)
    assert job.file("effects") == "one\ntwo\n"


@pytest.mark.parametrize("api", ["anthropic", "openai"])
def test_killed_while_a_command_runs(new_job, api):
    job = new_job(job_of(
        turn(execute("echo one >> effects"), execute(WAITS.format("two"), timeout_seconds=600),
             execute("echo three >> effects")),
        turn(execute("echo four >> effects"))), api=api)
    run = job.start()
    before = killed(job, run, "the command has begun", lambda: job.file("effects") == "one\ntwo\n")
    journal = resumed(job, before)
    assert job.file("effects") == "one\ntwo\nthree\nfour\n"
    states = {row["call_id"]: row["state"] for row in journal.calls if row["turn"] == 2}
    assert states == {"2.0": "done", "2.1": "interrupted", "2.2": "done"}
    told = job.told(2)
    assert told.count(INTERRUPTED) == 1 and "effects" in told.split(INTERRUPTED)[1], "what has changed since is named"
    counts = job.status()["calls"]
    assert counts["interrupted"] == 1 and counts["reused"] == 4


def test_an_interrupted_command_is_told_with_what_it_had_printed(new_job):
    job = new_job(job_of(
        turn(execute("seq 1 9; echo printed; touch begun; sleep 600", timeout_seconds=600)),
        turn(execute("echo after"), expect=["1\n2\n3", "printed", "begun"])))
    run = job.start()
    # The spool is written by another process than the command.
    spool = job.outputs / "2.0.out"
    before = killed(job, run, "the output is spooled", lambda: spool.exists() and "printed" in spool.read_text()
                    and (job.project / "begun").exists())
    resumed(job, before)


def test_killed_while_a_command_of_the_strategic_phase_runs(new_job):
    job = new_job({"turns": [
        turn(execute("echo begun; sleep 600", timeout_seconds=600)),
        plan("Work", expect=[INTERRUPTED, "No file of the project tree has changed"]),
        turn(done("t1")),
        complete(),
    ]})
    spool = job.outputs / "1.0.out"
    before = killed(job, job.start(), "it prints", lambda: spool.exists() and spool.read_text() == "begun\n")
    assert before.head["phase"] == "STRATEGIC"
    resumed(job, before)


def test_killed_while_a_search_runs_it_is_run_again(new_job):
    # A FIFO holds grep up for as long as we like.
    job = new_job(job_of(turn(call("search", pattern="needle", path="fifo")),
                         turn(execute("true"), expect=["1:needle"])))
    job.project.mkdir()
    os.mkfifo(job.project / "fifo", 0o666)
    job.own(job.project, job.project / "fifo")
    begun = "SELECT 1 FROM event WHERE kind = 'call_started' AND epoch = ? AND body LIKE '%\"2.0\"%'"
    before = killed(job, job.start(), "the search has begun", lambda: job.ask(begun, 1))
    run = job.start()
    run.until("the search has begun again", lambda: job.ask(begun, 2))
    with open(job.project / "fifo", "w", encoding="ascii") as fifo:
        fifo.write("needle\n")
    ended = run.wait()
    assert ended.code == 0 and not job.refusals(), ended
    journal = job.journal()
    journal.check(before=before, model=job.model.log())
    assert [row["state"] for row in journal.calls if row["tool"] == "search"] == ["done"]
    assert [event["attempt"] for event in journal.of("call_started") if event["call"] == "2.0"] == [1, 2]


def test_killed_while_the_verification_runs(new_job):
    job = new_job({"turns": [plan("Work"), turn(done("t1")), complete()]},
                  AGENT_ACCEPTANCE="test -e again && exit; touch again; sleep 600")
    before = killed(job, job.start(), "the acceptance command runs", lambda: (job.project / "again").exists())
    assert before.head["phase"] == "VERIFY" and not before.of("verified")
    journal = resumed(job, before)
    assert len(journal.of("verified")) == 1


def test_killed_in_a_backoff_it_waits_on(new_job):
    job = new_job({"turns": [plan("Work", fault={"status": 529, "headers": {"retry-after": "4"}}), turn(done("t1")),
                             complete()]})
    run = job.start()
    before = killed(job, run, "the backoff", lambda: job.ask("SELECT 1 FROM head WHERE status = 'backoff'"))
    retry_at = before.of("llm_failed")[0]["retryAt"]
    journal = resumed(job, before)
    requests = journal.of("llm_intent")
    assert requests[1].time >= retry_at and requests[1]["attempt"] == 2


def test_killed_before_it_had_done_anything(new_job):
    job = new_job(job_of(turn(execute("echo one >> effects"))))
    run = job.start()
    run.until("the checkpoint is there", lambda: job.database.exists())
    job.kill()
    end_well(job)
    assert job.file("effects") == "one\n"


def test_killed_again_and_again_at_the_same_place(new_job):
    job = new_job(job_of(*[turn(execute(WAITS.format(number), timeout_seconds=600)) for number in range(4)]))
    before = None
    for number in range(4):
        wanted = "".join(f"{n}\n" for n in range(number + 1))
        journal = killed(job, job.start(), f"command {number}", lambda: job.file("effects") == wanted)
        journal.check(before=before, model=job.model.log())
        before = journal
    journal = resumed(job, before)
    assert job.file("effects") == "0\n1\n2\n3\n"
    assert job.status()["calls"]["interrupted"] == 4
    assert [todo["status"] for todo in job.status()["todos"]] == ["done"]


# MARK: One of the processes


@pytest.mark.parametrize("role", ["loop", "gateway"])
def test_one_killed_process_is_started_again_in_the_same_run(new_job, role):
    job = new_job(job_of(turn(execute("echo one >> effects; until [ -e ../home/go ]; do sleep 0.05; done")),
                         turn(execute("echo two >> effects"))))
    run = job.start()
    run.until("the command runs", lambda: job.file("effects") == "one\n")
    victim = run.until("its process", lambda: job.pid(role))
    os.kill(victim, signal.SIGKILL)
    run.until("its successor is announced", lambda: "restart 1" in run.read("err"))
    (job.workspace / "home/go").touch()
    ended = run.wait()
    assert ended.code == 0 and ended.message["restarts"] == 1, ended
    assert "SIGKILL" in ended.err and role in ended.err, "why it died is said"
    journal = job.journal()
    journal.check(model=job.model.log())
    assert job.file("effects") == "one\ntwo\n"
    assert len(journal.of("acquired")) == (2 if role == "loop" else 1)


def test_when_agent_init_alone_is_killed_the_rest_saves_and_goes(new_job):
    # Where it is PID 1 the kernel ends everything with it; elsewhere nothing may go on without its supervisor.
    job = new_job(job_of(turn(execute(WAITS.format("one"), timeout_seconds=600)), turn(execute("echo two >> effects"))))
    run = job.start()
    run.until("the command has begun", lambda: job.file("effects") == "one\n")
    run.process.kill()
    run.process.wait()
    eventually("nothing is left", lambda: not job.alive())
    before = job.journal()
    before.check(model=job.model.log())
    resumed(job, before)
    assert job.file("effects") == "one\ntwo\n"


# MARK: SIGTERM


def stopped(job, run, what, condition):
    """Lets the run come to that moment and stops it as the kubelet does."""
    run.until(what, condition)
    ended = run.stop()
    assert (ended.code, ended.message["outcome"], ended.message["exit_code"]) == (143, "stopped", 143), ended
    assert not job.alive()
    journal = job.journal()
    journal.check(model=job.model.log())
    return journal


def test_sigterm_while_the_model_answers(new_job):
    job = new_job(job_of(turn(execute("echo one >> effects")),
                         turn(execute("echo two >> effects"), delay_ms=2000)))
    before = stopped(job, job.start(), "the third request", asking(job, 3))
    resumed(job, before)
    assert job.file("effects") == "one\ntwo\n"


def test_sigterm_while_a_command_runs(new_job):
    job = new_job(job_of(turn(execute(WAITS.format("one"), timeout_seconds=600)), turn(execute("echo two >> effects"))))
    before = stopped(job, job.start(), "the command has begun", lambda: job.file("effects") == "one\n")
    assert {row["state"] for row in before.calls if row["call_id"] == "2.0"} == {"interrupted"}
    resumed(job, before)
    assert job.file("effects") == "one\ntwo\n" and STOPPED in job.told(2)


def test_sigterm_while_it_waits_for_the_model(new_job):
    job = new_job({"turns": [plan("Work", fault={"status": 529, "headers": {"retry-after": "30"}})]})
    before = stopped(job, job.start(), "the backoff", lambda: job.ask("SELECT 1 FROM head WHERE status = 'backoff'"))
    assert job.status()["status"] == "backoff"
    assert before.of("llm_failed")


def test_sigterm_at_the_very_start(new_job):
    job = new_job(job_of(turn(execute("echo one >> effects"))))
    run = job.start()
    run.until("the loop runs", lambda: job.pid("loop"))
    ended = run.stop()
    assert (ended.code, ended.message["outcome"]) == (143, "stopped"), ended
    end_well(job)


# MARK: At any moment

TURNS = 6
TRIALS = 15
EDIT = {"path": "ledger", "old": "END\n"}


def any_moment():
    """Every non-idempotent call leaves its mark once: a command in `effects`, an edit in `ledger`."""
    work = [turn(call("write_file", path="ledger", content="END\n"), execute("echo first >> effects"))]
    for number in range(TURNS):
        work.append(turn(execute(f"echo c{number} >> effects; sleep 0.1"),
                         call("edit_file", **EDIT, new=f"e{number}\nEND\n"),
                         execute(f"sleep 0.05; echo d{number} >> effects"), delay_ms=60, chunk_delay_ms=2))
    return job_of(*work, deliverables=["ledger"])


MARKS = {}
"""The mark of each call that leaves one, by the call's id."""
for number in range(TURNS):
    MARKS |= {f"{number + 3}.0": f"c{number}", f"{number + 3}.1": f"e{number}", f"{number + 3}.2": f"d{number}"}
MARKS["2.1"] = "first"


def check_effects(job, journal):
    """Each effect at most once; exactly once if its call is done; never if it was not started."""
    marks = Counter(job.file("effects").split() + job.file("ledger").split())
    marks.pop("END", None)
    states = {row["call_id"]: row["state"] for row in journal.calls}
    for identifier, mark in MARKS.items():
        allowed = {"done": {1}, "started": {0, 1}, "interrupted": {0, 1}}.get(states.get(identifier), {0})
        assert marks.pop(mark, 0) in allowed, f"{mark} of {identifier}, which is {states.get(identifier)}"
    assert not marks


def check_spool(job, journal):
    """Every record of the log has a number of its own, and every event of the journal one record, in order."""
    path = job.checkpoints / f"spool_{job.name}.db"
    with as_user(), contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as spool:
        rows = spool.execute("SELECT seq, record FROM record ORDER BY seq").fetchall()
    assert [seq for seq, _ in rows] == list(range(1, len(rows) + 1)), "a record is missing"
    records = [json.loads(record) for _, record in rows]
    seen = [record["attributes"]["journal.seq"] for record in records if record["stream"] == "journal"]
    assert seen == [event.seq for event in journal.events], "an event is in the log twice, or not at all"


@pytest.fixture(scope="module")
def length():
    """How long the job takes when nobody disturbs it, in seconds."""
    with Job(any_moment()) as job:
        began = time.monotonic()
        journal = end_well(job)
        check_effects(job, journal)
        return time.monotonic() - began


@pytest.mark.parametrize("seed", range(TRIALS))
def test_killed_at_any_moment_and_again(new_job, length, seed):
    moments = random.Random(seed)
    job = new_job(any_moment())
    before = None
    for _ in range(moments.randint(1, 3)):
        run = job.start()
        time.sleep(moments.uniform(0, 0.8 * length))
        job.kill()
        if job.database.exists():
            journal = job.journal()
            journal.check(before=before, model=job.model.log())
            check_effects(job, journal)
            before = journal
        if run.process.returncode != -signal.SIGKILL:
            assert run.process.returncode == 0, run.read("err")
    ended = job.run()
    assert ended.code == 0, ended
    journal = job.journal()
    journal.check(before=before, model=job.model.log())
    check_effects(job, journal)
    check_spool(job, journal)
    assert journal.phases()[-1] == "VERIFY" and job.refusals() == []
    assert [todo["status"] for todo in job.status()["todos"]] == ["done"]


def test_the_check_of_effects_finds_one_that_was_done_twice(new_job, length):
    job = new_job(any_moment())
    journal = end_well(job)
    with open(job.project / "effects", "a", encoding="utf-8") as effects:
        effects.write("c0\n")
    with pytest.raises(AssertionError, match="c0 of 3.0"):
        check_effects(job, journal)
