"""A store that misbehaves in the middle of a job: the job goes on, and its end is bounded."""

import signal

import pytest

from job_ends import end_well
from test_snapshots import new_volume, restore
from turns import execute, job_of, turn

WAITS = job_of(turn(execute("echo one >> effects; while [ ! -e go ]; do sleep 0.05; done")),
               turn(execute("echo two >> effects")), turn(execute("echo three >> effects")))
HANGS = "stall 600"
BUSY = "status 503 SlowDown 3600"


def begin(job):
    """Starts a job that has claimed its epoch and waits in its first command."""
    run = job.start()
    run.until("the first command", lambda: job.file("effects") == "one\n")
    return run


def go(job):
    (job.project / "go").touch()


@pytest.mark.parametrize("fault", [HANGS, BUSY])
def test_the_job_goes_on_while_its_store_fails_and_saves_its_end_when_it_is_back(bucket, new_job, fault):
    job = new_job(WAITS)
    bucket.serve(job)
    run = begin(job)
    bucket.fail(fault)
    go(job)
    run.until("the third command", lambda: job.file("effects") == "one\ntwo\nthree\n")
    bucket.fail(None)
    ended = run.wait()
    assert (ended.code, ended.message["outcome"]) == (0, "completed")
    assert "does not say whether another volume has taken the job" in ended.said
    journal = job.journal()
    new_volume(job)
    done = restore(job)
    assert (done["outcome"], done["final"], done["seq"]) == ("restored", True, journal.head["seq"])


@pytest.mark.parametrize("fault", [HANGS, BUSY])
def test_the_end_of_a_job_is_not_held_up_by_its_store(bucket, new_job, fault):
    # With a grace of 8 seconds the last snapshot has two when the pod is to stop.
    job = new_job(WAITS, AGENT_GRACE_SECONDS="8")
    bucket.serve(job)
    run = begin(job)
    bucket.fail(fault)
    go(job)
    run.until("the end", lambda: job.ask("SELECT 1 FROM head WHERE status = 'completed'"))
    run.process.send_signal(signal.SIGTERM)
    ended = run.wait()
    assert (ended.code, ended.message["outcome"]) == (0, "completed"), "what was done is not lost for want of a snapshot"
    assert "no snapshot was made" in ended.said
    assert job.file("effects") == "one\ntwo\nthree\n"


def test_a_stop_is_not_held_up_by_a_store_that_hangs(bucket, new_job):
    job = new_job(WAITS, AGENT_GRACE_SECONDS="8")
    bucket.serve(job)
    run = begin(job)
    bucket.fail(HANGS)
    assert run.stop().code == 143
    bucket.fail(None)
    go(job)
    end_well(job)
    assert job.file("effects").endswith("two\nthree\n")


def test_a_failed_snapshot_is_in_the_log_and_so_is_the_next_good_one(bucket, new_job):
    job = new_job(job_of(turn(execute("echo one >> effects; while [ ! -e go ]; do sleep 0.05; done")),
                         check="while [ ! -e checked ]; do sleep 0.05; done"))
    bucket.serve(job)
    run = begin(job)
    bucket.fail(BUSY)
    go(job)
    # While the check waits no snapshot begins; the one before it has failed then.
    run.until("a failed snapshot", lambda: job.ask("SELECT 1 FROM head WHERE phase = 'VERIFY'")
              and any("/snapshots/" in line and line.startswith("PUT") and line.endswith(" 503") for line in bucket.requests())
              and not job.pid("snapshot"))
    bucket.fail(None)
    (job.project / "checked").touch()
    ended = run.wait()
    assert ended.code == 0
    said = [(record["severity_text"], record["body"]) for record in ended.records]
    [failed] = [index for index, (severity, body) in enumerate(said) if "no snapshot was made" in body]
    [good] = [index for index, (severity, body) in enumerate(said) if "a snapshot was made again" in body]
    assert failed < good and said[failed][0] == "WARN" and "SlowDown" in said[failed][1]


def test_old_snapshots_that_cannot_be_deleted_stay_with_one_warning_and_the_new_ones_are_good(bucket, new_job):
    job = new_job(job_of(*[turn(execute(f"echo {word} >> effects")) for word in ("one", "two", "three")]),
                  AGENT_SNAPSHOT_KEEP="1")
    bucket.serve(job)
    bucket.fail("deny DELETE")
    ended = job.run()
    assert ended.code == 0, ended
    warnings = [record["body"] for record in ended.records if "snapshot" in record["body"] and record["severity_text"] == "WARN"]
    assert len(warnings) == 1 and "older ones than the 1 of AGENT_SNAPSHOT_KEEP stay" in warnings[0], warnings
    assert "AccessDenied" in warnings[0] and "allow the key" in warnings[0]
    stored = {line.split()[1] for line in bucket.requests() if line.startswith("PUT") and line.endswith("json 200")}
    assert len(stored) > 1, "only one was stored: nothing had to be deleted"
    by_hand = job.agent("snapshot")
    assert by_hand.returncode == 0 and "stay: delete s3://bucket/" in by_hand.stderr, by_hand.stderr
    seq = job.journal().head["seq"]
    new_volume(job)
    assert restore(job)["seq"] == seq
