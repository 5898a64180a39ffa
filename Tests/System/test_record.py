"""The state in the user's hands: status, history, export, verify and fork, of a live job and of a dead one."""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess

import pytest

from job import STEP_HANGS, UID, Job
from job_ends import end_well
from journal import forge
from turns import SMALL_JOB, call, complete, done, execute, job_of, plan, turn

WAITS = "echo one >> effects; until [ -e ../home/go ]; do sleep 0.05; done"


@pytest.fixture
def finished(new_job):
    job = new_job(SMALL_JOB, AGENT_PRICE_INPUT_PER_MTOK="3", AGENT_PRICE_OUTPUT_PER_MTOK="15")
    end_well(job)
    return job


@pytest.fixture
def running(new_job):
    job = new_job(job_of(turn(execute(WAITS, timeout_seconds=600)), turn(execute("echo two >> effects"))))
    run = job.start()
    run.until("the command runs", lambda: job.file("effects") == "one\n")
    yield job
    (job.workspace / "home/go").touch()
    assert run.wait().code == 0, "a look from outside changes nothing"


def shown(job, *arguments):
    done = job.agent(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


# MARK: history, status, export


def test_the_history_has_every_step_with_its_time_cost_and_outcome(finished):
    journal = finished.journal()
    steps = json.loads(shown(finished, "history", "--json"))
    assert [step["turn"] for step in steps] == list(range(1, len(journal.requests) + 1))
    assert {step["outcome"] for step in steps} == {"answered"}
    assert [step["first_seq"] for step in steps] == [row["seq"] for row in journal.requests]
    assert sum(step["cost_usd"] for step in steps) == pytest.approx(journal.spent["cost_usd"])
    calls = [(one["id"], one["outcome"]) for step in steps for one in step["calls"]]
    assert calls == [(row["call_id"], row["state"]) for row in journal.calls]
    text = shown(finished, "history")
    assert all(row["call_id"] in text for row in journal.calls) and "$ grep -q 42 result" in text


def test_a_running_job_is_seen_as_it_stands(running):
    step = json.loads(shown(running, "history", "--json"))[-1]
    assert [one["outcome"] for one in step["calls"]] == ["running"]
    status = json.loads(shown(running, "status", "--json"))
    assert status["status"] == "running" and status["last_events"][-1]["kind"] == "call_started"
    assert "call_started" in shown(running, "status")
    assert "All holds" in shown(running, "verify")


def test_the_export_is_the_journal_event_by_event(finished):
    lines = [json.loads(line) for line in shown(finished, "export").split("\n") if line]
    assert [(one["seq"], one["epoch"], one["kind"], one["body"]) for one in lines] == [
        (event.seq, event.epoch, event.kind, event.body) for event in finished.journal().events]


def test_the_markdown_reads_from_the_task_to_the_end(finished):
    text = shown(finished, "export", "--format", "markdown")
    marks = ["# Job job-1", "## Task\n\n> Do what the script says.", "TACTICAL", "$ grep -q 42 result && echo good",
             "Verification passed", "## Todos\n\n- t1 The work: done", "## End\n\ncompleted: All is done."]
    places = [text.index(mark) for mark in marks]
    assert places == sorted(places)


def test_a_reader_that_goes_away_is_no_error(finished):
    command = finished.command("export")
    with subprocess.Popen(command, env=finished.settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.wait(timeout=STEP_HANGS) == 0 and process.stderr.read() == b""


@pytest.mark.parametrize("command", ["status", "history", "export", "verify"])
def test_a_job_that_is_not_there_is_78(new_job, command):
    job = new_job(None)
    looked = job.agent(command)
    assert looked.returncode == 78 and "there is no job in" in looked.stderr
    assert not job.checkpoints.exists(), "a look makes nothing"


def test_a_dead_job_on_a_volume_that_cannot_be_written(finished):
    """Its -wal and -shm are gone and cannot be made; as another user than root, who may write anywhere."""
    for path in (finished.database, finished.checkpoints):
        path.chmod(0o500 if path.is_dir() else 0o400)
    before = sorted(path.name for path in finished.checkpoints.iterdir())
    for command in ("status", "history", "export", "verify"):
        assert shown(finished, command)
    assert sorted(path.name for path in finished.checkpoints.iterdir()) == before
    finished.checkpoints.chmod(0o700)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_what_root_looks_at_stays_the_users(finished):
    """kubectl exec as root, into the pod of a job that runs as somebody else."""
    command = [word for word in finished.command("status") if "setpriv" not in word and not word.startswith("--")]
    assert subprocess.run(command, env=finished.settings, capture_output=True, timeout=STEP_HANGS).returncode == 0
    assert {path.stat().st_uid for path in finished.checkpoints.rglob("*")} == {UID}


# MARK: verify

VIOLATIONS = {
    "UPDATE call SET state = 'interrupted' WHERE call_id = '2.0'": "call 2.0: it says interrupted, the journal done",
    "DELETE FROM call WHERE call_id = '2.0'": "call 2.0: it says nothing, the journal done",
    "UPDATE todo SET status = 'pending'": "todo t1: it says pending, the journal done",
    "DELETE FROM todo": "todo t1: it says nothing, the journal done",
    "UPDATE llm SET state = 'lost' WHERE turn = 1": "it says lost, the journal done",
    "UPDATE head SET phase = 'TACTICAL'": "head: phase is TACTICAL, the journal says VERIFY",
    "UPDATE head SET status = 'running'": "head: status is running, the journal says completed",
    "UPDATE head SET epoch = 0": "head: epoch 0 is older than 1",
    "UPDATE meta SET job_id = 'other'": "meta: it belongs to job other",
    "UPDATE event SET epoch = 9 WHERE seq = 5": "event 5: an epoch begins with its acquisition",
    "DELETE FROM event WHERE seq = 5": "event 6: does not follow event 4",
    "UPDATE event SET body = replace(body, '\"2.0\"', '\"2.7\"') WHERE kind = 'call_started'": "call 2.7 was never asked for",
    "UPDATE event SET kind = 'dreamt' WHERE seq = 5": "dreamt",
}


@pytest.mark.parametrize("statement", VIOLATIONS)
def test_verify_finds_what_does_not_hold(finished, statement):
    assert shown(finished, "verify").startswith("All holds: ")
    forge(finished.database, statement)
    looked = finished.agent("verify")
    assert looked.returncode == 65 and VIOLATIONS[statement] in looked.stdout + looked.stderr


def test_verify_finds_a_damaged_page(finished):
    with contextlib.closing(sqlite3.connect(finished.database)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        root = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'todo'").fetchone()[0]
    with open(finished.database, "r+b") as file:
        file.seek((root - 1) * 8192)
        file.write(b"\xff" * 8192)
    looked = finished.agent("verify")
    assert looked.returncode == 65 and "database" in looked.stdout + looked.stderr


# MARK: fork


def as_job(job, name, script):
    """The same folders, with another JOB_ID and the rest of the script."""
    job.change(JOB_ID=name)
    job.name, job.database = name, job.checkpoints / f"job_{name}.db"
    job.serve(script)
    return job


def test_a_fork_goes_on_from_that_event_as_a_new_job(new_job):
    script = job_of(turn(execute("echo one >> effects")), turn(execute("echo two >> effects")))
    job = new_job(script)
    end_well(job)
    original = job.journal()
    at = next(event.seq for event in original.events if event.kind == "call_finished" and event["call"] == "2.0")
    assert "Start it with JOB_ID=second" in shown(job, "fork", "--at", str(at), "--job-id", "second")
    other = {"turns": script["turns"][:2] + [turn(execute("echo three >> effects")), *script["turns"][3:]]}
    as_job(job, "second", other)
    assert "All holds" in shown(job, "verify")
    journal = end_well(job)
    assert [event.row for event in journal.events[:at]] == [event.row for event in original.events[:at]]
    assert journal.events[at].kind == "acquired" and journal.events[at]["resumed"] is True
    assert job.file("effects") == "one\ntwo\nthree\n", "calls before the fork are not run again"
    assert job.file("effects").count("one") == 1


def test_every_event_of_a_job_can_be_forked_at_and_the_fork_holds(finished):
    for at in range(1, len(finished.journal().events) + 1):
        shown(finished, "fork", "--at", str(at), "--job-id", f"f{at}")
        looked = subprocess.run(finished.command("verify"), env={**finished.settings, "JOB_ID": f"f{at}"},
                                capture_output=True, text=True, timeout=STEP_HANGS)
        assert looked.returncode == 0, (at, looked.stdout, looked.stderr)


def test_a_fork_in_the_middle_of_everything_goes_on_to_the_end(new_job):
    """A call that runs, one that waits, one in the background; the job itself runs on beside it."""
    once = "echo one >> effects; [ -e ../home/go ] || { touch ../home/seen; until [ -e ../home/go ]; do sleep 0.05; done; }"
    script = job_of(turn(execute("echo up; sleep 600", background=True), execute(once, timeout_seconds=600),
                         execute("echo two >> effects")), turn(execute("echo three >> effects")))
    job = new_job(script)
    run = job.start()
    run.until("the command runs", lambda: job.file("effects") == "one\n")
    last = json.loads(shown(job, "status", "--json"))["seq"]
    shown(job, "fork", "--at", str(last), "--job-id", "second")
    (job.workspace / "home/go").touch()
    assert run.wait().code == 0
    (job.project / "effects").write_text("one\n")
    as_job(job, "second", script)
    journal = end_well(job)
    assert job.file("effects") == "one\ntwo\nthree\n"
    assert [(event["call"], event["how"]) for event in journal.of("background_ended")] == [("2.0", "lost")]
    assert journal.results()["2.1"]["outcome"] == "interrupted"
    assert "nothing that was kept" in journal.results()["2.1"]["content"]


def test_what_the_model_wrote_steers_no_terminal(new_job):
    title = "Work\x1b]0;owned\x07\x9b2J" + "x" * 5000
    job = new_job({"turns": [plan({"title": title, "acceptance": "seen"}, text="a\x1b[2Jb"),
                             turn(done("t1"), execute("true \x1b[2J")), complete()]})
    end_well(job)
    for command in ("status", "history", "verify"):
        text = shown(job, command)
        assert not set(text) & {"\x1b", "\x07", "\x9b"} and max(map(len, text.split("\n"))) < 1200
    assert json.loads(shown(job, "status", "--json"))["todos"][0]["title"] == title


def test_a_running_job_can_be_forked_and_its_open_call_is_interrupted_there(running):
    last = json.loads(shown(running, "status", "--json"))["seq"]
    shown(running, "fork", "--at", str(last), "--job-id", "second")
    looked = subprocess.run(running.command("status", "--json"), env={**running.settings, "JOB_ID": "second"},
                            capture_output=True, text=True, timeout=STEP_HANGS)
    assert json.loads(looked.stdout)["seq"] == last


@pytest.mark.parametrize("arguments, code, words", [
    (["--at", "3", "--job-id", "job-1"], 78, "already"),
    (["--at", "0", "--job-id", "new"], 64, "has the events 1 to"),
    (["--at", "9999", "--job-id", "new"], 64, "has the events 1 to"),
    (["--at", "3", "--job-id", "a/b"], 64, "--job-id"),
    (["--at", "x", "--job-id", "new"], 64, "at"),
    (["--at", "3"], 64, "job-id"),
])
def test_a_fork_that_cannot_be_is_refused_and_makes_nothing(finished, arguments, code, words):
    before = sorted(path.name for path in finished.checkpoints.iterdir())
    looked = finished.agent("fork", *arguments)
    assert looked.returncode == code and words in looked.stderr
    assert sorted(path.name for path in finished.checkpoints.iterdir()) == before
