"""A journal that is whole and too short: the job had got further than it says. Nothing is done twice without a word."""

import contextlib
import shutil
import sqlite3

import pytest

import nats_process
from job import as_user, eventually
from job_ends import end_well
from job_nats import client, nats, send, with_nats
from turns import call, complete, done, execute, job_of, plan, turn

WORK = [turn(execute("echo one >> effects")), turn(execute("echo two >> effects"))]
HELD = turn(execute("until [ -e ../home/go ]; do sleep 0.05; done"))


def volume(job, name):
    """A copy of the job's volume as it is now, in a folder of its own."""
    copy = job.root / name
    shutil.copytree(job.workspace, copy, symlinks=True)
    return copy


def put_back(job, copy, *names):
    """The checkpoint's files of a copy in the place of the present ones; all of the volume without names."""
    if not names:
        shutil.rmtree(job.workspace)
        shutil.copytree(copy, job.workspace, symlinks=True)
    for name in names:
        for path in job.checkpoints.glob(name):
            path.unlink()
        for path in (copy / "checkpoints").glob(name):
            shutil.copy(path, job.checkpoints)
    for path in [job.workspace, *job.workspace.rglob("*")]:
        job.own(path)


def began(job, call):
    return lambda: job.ask("SELECT 1 FROM call WHERE call_id = ? AND state = 'started'", call)


def killed_late(job):
    """Runs the job until both commands are done and a third runs, with a copy of its volume from before the second.

    The copy is made while the job is held in between: what is on the volume then is whole.
    """
    run = job.start()
    run.until("the first is done", began(job, "3.0"))
    job.kill()
    copy = volume(job, "older")
    (job.workspace / "home/go").touch()
    job.own(job.workspace / "home/go")
    run = job.start()
    run.until("the second is done and the last runs", lambda: job.file("effects") == "one\ntwo\n" and began(job, "5.0")())
    job.kill()
    return copy


SCRIPT = job_of(WORK[0], HELD, WORK[1], turn(execute("[ -e ../home/done ] || sleep 60")))


def asks(job, *words):
    """The next start waits for a human, and says why."""
    before = job.file("effects")
    ended = job.run()
    assert (ended.code, ended.message["outcome"]) == (75, "needs_input"), ended
    for word in words:
        assert word in ended.message["reason"], ended.message
    assert job.file("effects") == before, "nothing was done before somebody has looked"
    restored = job.journal().of("restored")
    assert len(restored) == 1 and restored[0]["asks"]
    # And it stays so: each start asks the same, and records it no second time.
    assert job.run().code == 75
    assert len(job.journal().of("restored")) == 1


def test_a_wal_that_is_gone_is_noticed_by_what_the_last_process_had_noted(new_job):
    job = new_job(SCRIPT)
    copy = killed_late(job)
    # A backup of the file alone: the newest commits were in the -wal.
    put_back(job, copy, "job_job-1.db*")
    for path in job.checkpoints.glob("output_job-1/*"):
        path.unlink()
    for path in job.checkpoints.glob("spool_job-1.db*"):
        path.unlink()
    asks(job, "a process of the job had come to event")


def test_output_of_a_call_that_the_journal_does_not_know_is_noticed(new_job):
    job = new_job(SCRIPT)
    copy = killed_late(job)
    put_back(job, copy, "job_job-1.db*", "job_job-1.holder", "spool_job-1.db*")
    asks(job, "output of call 4.0, which the journal does not know")
    # It is kept, out of the way of the call that gets this number now.
    assert list(job.outputs.glob("4.0.out.before-*")) and not (job.outputs / "4.0.out").exists()


def test_what_the_logs_spool_has_is_noticed(new_job):
    job = new_job(SCRIPT)
    copy = killed_late(job)
    put_back(job, copy, "job_job-1.db*", "job_job-1.holder")
    for path in job.outputs.iterdir():
        path.unlink()
    asks(job, "the log's spool has its event")


@pytest.mark.skipif(nats_process.program() is None, reason="nats-server is not installed")
def test_a_volume_that_was_rolled_back_is_noticed_by_what_nats_holds(new_job, nats, client):
    job = with_nats(new_job, nats, SCRIPT, AGENT_INPUT_WAIT_SECONDS="1")
    copy = killed_late(job)
    put_back(job, copy)
    # Its tree too: what the second command did is undone, and the rest is for somebody to look at.
    assert job.file("effects") == "one\n"
    asks(job, "what NATS holds has its event")


@pytest.mark.skipif(nats_process.program() is None, reason="nats-server is not installed")
def test_a_job_that_nats_knows_does_not_begin_anew_on_an_empty_volume_without_a_word(new_job, nats, client):
    job = with_nats(new_job, nats, SCRIPT, AGENT_INPUT_WAIT_SECONDS="1")
    killed_late(job)
    shutil.rmtree(job.workspace)
    job.workspace.mkdir()
    job.own(job.workspace)
    ended = job.run()
    assert (ended.code, ended.message["outcome"]) == (75, "needs_input"), ended
    assert "what NATS holds has its event" in ended.message["reason"]
    assert job.file("effects") == ""


def test_with_continue_it_goes_on_and_the_model_is_told(new_job):
    job = new_job(SCRIPT, AGENT_AFTER_RESTORE="continue")
    copy = killed_late(job)
    (job.workspace / "home/done").touch()
    put_back(job, copy, "job_job-1.db*")
    journal = end_well(job, forgot=True)
    assert [event["asks"] for event in journal.of("restored")] == [False]
    told = [request["last_text"] for request in job.model.log() if "earlier than the job had got" in request["last_text"]]
    assert told and "commands may have run" in told[0]


def test_a_human_who_has_looked_lets_it_go_on(new_job, nats, client):
    job = with_nats(new_job, nats, SCRIPT)
    copy = killed_late(job)
    put_back(job, copy, "job_job-1.db*")
    job.serve({"turns": [*SCRIPT["turns"][:3], turn(call("begin_tactical"), expect=["Both are done: go on.", "earlier than the job had got"]),
                         turn(done("t1")), complete("effects")]})
    run = job.start()
    run.until("it asks", lambda: job.ask("SELECT 1 FROM head WHERE status = 'needs_input'"))
    assert job.file("effects") == "one\ntwo\n"
    send(client, job, "message", "Both are done: go on.")
    ended = run.wait()
    assert ended.code == 0, ended
    assert job.refusals() == [] and job.file("effects") == "one\ntwo\n"


def test_a_power_loss_that_takes_the_note_of_the_last_process_is_no_rewinding(new_job):
    job = new_job(job_of(*WORK, HELD))
    run = job.start()
    run.until("the last runs", began(job, "4.0"))
    job.kill()
    (job.checkpoints / "job_job-1.holder").write_bytes(b"")
    (job.workspace / "home/go").touch()
    journal = end_well(job)
    assert not journal.of("restored") and job.file("effects") == "one\ntwo\n"
