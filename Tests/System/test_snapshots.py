"""Snapshots of a job in a folder store, and a job that goes on from one on another volume."""

import json
import random
import shutil
import subprocess
import time

import pytest

from job_ends import end_well
from object_store_process import CREDENTIALS
from set_clock import hurry
from turns import execute, job_of, turn

WORK = job_of(turn(execute("echo one >> effects")), turn(execute("echo two >> effects")))
WAITS = job_of(turn(execute("echo one >> effects")), turn(execute("echo two >> effects; sleep 600", timeout_seconds=600)),
               turn(execute("echo three >> effects")))


class Objects:
    """The folder that stands for the object store, beside the jobs' volumes."""

    def __init__(self, job):
        self.folder = job.root / "objects"
        self.folder.mkdir(mode=0o700)
        job.own(self.folder)
        self.job = job
        job.change(AGENT_SNAPSHOT_URL=f"file://{self.folder}")

    def keys(self, kind):
        return sorted(path.name for path in (self.folder / "jobs" / self.job.name).glob(f"{kind}/*") if "~" not in path.name)

    def manifests(self):
        """The oldest first."""
        places = sorted((self.folder / "jobs" / self.job.name / "snapshots").glob("*.json"))
        return [json.loads(path.read_text()) for path in places]


def new_volume(job):
    """What a pod finds when its volume is lost; the model server and the object store stay."""
    lost = job.root / f"lost-{len(list(job.root.glob('lost-*')))}"
    job.workspace.rename(lost)
    job.workspace.mkdir(mode=0o700)
    job.own(job.workspace)
    return lost


def restore(job, code=0):
    done = job.agent("restore", "--json")
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if code == 0 else done.stderr


def test_a_job_leaves_snapshots_and_claims(new_job):
    job = new_job(WORK)
    objects = Objects(job)
    journal = end_well(job)
    assert objects.keys("epoch") == ["000000000001"]
    newest = objects.manifests()[-1]
    assert (newest["epoch"], newest["seq"]) == (1, journal.head["seq"])
    assert newest["final"] is True and newest["reason"] == "completed" and newest["job"] == job.name
    assert not list(job.checkpoints.glob("*.snapshot*")), "the copy is left behind"


def test_sigterm_leaves_a_final_snapshot(new_job):
    job = new_job(WAITS)
    objects = Objects(job)
    run = job.start()
    run.until("the second command", lambda: job.file("effects") == "one\ntwo\n")
    assert run.stop().code == 143
    newest = objects.manifests()[-1]
    assert newest["final"] is True and newest["reason"] == "stopped"
    assert newest["seq"] == job.journal().head["seq"]


def test_only_the_newest_are_kept(new_job):
    job = new_job(WORK, AGENT_SNAPSHOT_KEEP="1")
    objects = Objects(job)
    journal = end_well(job)
    seq = journal.head["seq"]
    assert [name[-len(f"{seq}.json"):] for name in objects.keys("snapshots") if name.endswith(".json")] == [f"{seq}.json"]
    # Its database, its manifest and the archive of the project tree.
    assert len(objects.keys("snapshots")) == 3


def test_a_lost_volume_is_restored_and_the_job_asks_before_it_goes_on(new_job):
    job = new_job(WAITS)
    objects = Objects(job)
    run = job.start()
    run.until("the second command", lambda: job.file("effects") == "one\ntwo\n")
    run.until("a snapshot", objects.manifests)
    job.kill()
    new_volume(job)
    done = restore(job)
    assert done["outcome"] == "restored" and done["final"] is False
    assert restore(job)["outcome"] == "up_to_date", "it can be run again"
    assert job.journal().events[-1].kind == "restored"
    ended = job.run()
    assert (ended.code, ended.message["outcome"]) == (75, "needs_input"), ended
    assert objects.keys("epoch")[-1] > "000000000001", "the job is this volume's now"
    assert job.file("effects") == "", "nothing was done before a human has looked"


def test_a_restore_that_is_killed_can_be_run_again(new_job):
    job = new_job(WAITS)
    objects = Objects(job)
    run = job.start()
    run.until("the second command", lambda: job.file("effects") == "one\ntwo\n")
    assert run.stop().code == 143
    seq = objects.manifests()[-1]["seq"]
    pause = random.Random(1)
    for _ in range(12):
        new_volume(job)
        process = subprocess.Popen(job.command("restore"), env=job.settings, cwd="/", stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        # At any moment of some 30 ms of work; which one it is tells nothing about what must hold.
        time.sleep(pause.uniform(0, 0.06))
        process.kill()
        process.wait()
        assert restore(job)["outcome"] in ("restored", "up_to_date", "overtaken")
        assert job.journal().head["seq"] in (seq, seq + 2)


def test_what_was_stopped_cleanly_is_restored_without_a_word(new_job):
    job = new_job(WAITS)
    Objects(job)
    run = job.start()
    run.until("the second command", lambda: job.file("effects") == "one\ntwo\n")
    assert run.stop().code == 143
    lost = new_volume(job)
    assert restore(job) == {"outcome": "restored", "epoch": 1, "final": True, "seq": restored_seq(job),
                            "project": "not_in_snapshot"}
    shutil.rmtree(job.project, ignore_errors=True)
    shutil.copytree(lost / "project", job.project)
    job.own(job.project, *job.project.rglob("*"))
    journal = end_well(job)
    assert not journal.of("restored")
    assert job.file("effects") == "one\ntwo\nthree\n", "an effect was done twice or lost"


def restored_seq(job):
    return job.ask("SELECT max(seq) FROM event")[0]


def test_a_damaged_newest_snapshot_gives_way_to_the_older_one(new_job):
    job = new_job(WORK)
    objects = Objects(job)
    end_well(job)
    manifests = objects.manifests()
    assert len(manifests) > 1
    newest = objects.folder / manifests[-1]["database"]["key"]
    damaged = bytearray(newest.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    newest.write_bytes(damaged)
    new_volume(job)
    done = job.agent("restore", "--json")
    assert done.returncode == 0 and "taking an older one" in done.stderr, done.stderr
    assert json.loads(done.stdout)["seq"] == manifests[-2]["seq"]


def test_nothing_to_restore_at_the_first_start(new_job):
    job = new_job(WORK)
    Objects(job)
    assert restore(job) == {"outcome": "nothing"}
    end_well(job)


def test_a_job_that_ran_but_has_no_snapshot_does_not_begin_anew(new_job):
    job = new_job(WORK)
    objects = Objects(job)
    end_well(job)
    shutil.rmtree(objects.folder / "jobs" / job.name / "snapshots")
    new_volume(job)
    assert "no whole snapshot" in restore(job, code=65)
    ended = job.run()
    assert (ended.code, ended.message["outcome"]) == (75, "fenced")
    assert "agent-init restore" in ended.message["reason"]


def test_the_older_of_two_volumes_stops_within_a_step(new_job):
    job = new_job(job_of(turn(execute("echo one >> effects"), delay_ms=1500),
                         turn(execute("echo two >> effects"), delay_ms=3000)))
    objects = Objects(job)
    run = job.start()
    run.until("a request", lambda: job.ask("SELECT 1 FROM llm WHERE turn = 2 AND state = 'intent'"))
    # Another volume claims the next epoch.
    claim = objects.folder / "jobs" / job.name / "epoch" / "000000000002"
    claim.write_text('{"epoch":2,"host":"elsewhere","nonce":"x"}')
    job.own(claim)
    before = job.ask("SELECT max(seq) FROM event")[0]
    ended = run.wait()
    assert (ended.code, ended.message["outcome"]) == (75, "fenced")
    assert job.file("effects") in ("", "one\n")
    assert job.journal().head["seq"] <= before + 6
    # It does not work its way past the claim by being started again.
    for _ in range(3):
        assert job.run().message["outcome"] == "fenced"
    assert restore(job)["outcome"] in ("overtaken", "restored")


@pytest.mark.parametrize("how", ["gone", "read-only"])
def test_a_store_that_fails_costs_warnings_only(new_job, how):
    job = new_job(job_of(turn(execute("echo one >> effects"), delay_ms=1000)))
    objects = Objects(job)
    run = job.start()
    run.until("the claim", lambda: objects.keys("epoch"))
    if how == "gone":
        shutil.rmtree(objects.folder)
        objects.folder.write_text("a file is in its place")
    else:
        for path in [objects.folder, *objects.folder.rglob("*")]:
            if path.is_dir():
                path.chmod(0o500)
    ended = run.wait()
    assert ended.code == 0, ended
    assert "no snapshot was made" in ended.said


def test_without_its_store_a_job_does_not_start(new_job):
    job = new_job(WORK)
    objects = Objects(job)
    (objects.folder / "jobs").write_text("no folder")
    ended = job.run()
    assert (ended.code, ended.message["outcome"]) == (78, "configuration"), ended
    assert "another key is its folder" in ended.message["reason"]
    assert not job.ask("SELECT 1 FROM event")


@pytest.mark.parametrize("bucket", CREDENTIALS, indirect=True)
def test_a_job_goes_on_from_a_bucket_and_its_lost_volume_is_shut_out(bucket, new_job):
    job = new_job(WAITS)
    bucket.serve(job)
    assert restore(job) == {"outcome": "nothing"}
    run = job.start()
    run.until("the second command", lambda: job.file("effects") == "one\ntwo\n")
    assert run.stop().code == 143
    lost = new_volume(job)
    assert restore(job)["final"] is True
    shutil.rmtree(job.project)
    shutil.copytree(lost / "project", job.project)
    job.own(job.project, *job.project.rglob("*"))
    end_well(job)
    assert job.file("effects") == "one\ntwo\nthree\n", "an effect was done twice or lost"
    shutil.rmtree(job.workspace)
    lost.rename(job.workspace)
    ended = job.run()
    assert (ended.code, ended.message["outcome"]) == (75, "fenced")
    assert job.file("effects") == "one\ntwo\n"


@pytest.mark.parametrize("bucket", CREDENTIALS, indirect=True)
def test_a_wrong_secret_is_refused_in_the_words_of_the_store(bucket, new_job):
    job = new_job(WORK)
    bucket.serve(job)
    job.put_secret("s3-secret-access-key", "another-secret")
    hurry(job)
    said = restore(job, code=77)
    assert "SignatureDoesNotMatch: " in said and "s3-secret-access-key" in said and "another-secret" not in said
