"""What a store says no to: the same code and the same words from `run` as from `restore`, before anything has run."""

import signal
import subprocess

import pytest

from job import free_port
from job_ends import end_well
from set_clock import hurry
from test_credentials import SecureProxy, authority
from turns import SMALL_JOB

REFUSALS = [
    ("status 403 AccessDenied", 77, "allow the key to get, put, list and delete"),
    ("status 404 NoSuchBucket", 78, "make the bucket"),
    ("status 404", 78, "correct AGENT_SNAPSHOT_URL, AGENT_S3_ENDPOINT"),
    ("redirect", 78, "set AGENT_S3_REGION to eu-west-9"),
    ("status 400 BadDigest", 78, "look at the proxy, and whether the store takes SHA-256 checksums"),
    ("status 501 NotImplemented", 78, "use one that knows S3's If-None-Match"),
]
OUTCOMES = {75: "storage", 77: "not_permitted", 78: "configuration"}


def refused(job, code, *words):
    """`restore` and `run` end with that code and these words, and nothing was begun."""
    done = job.agent("restore")
    assert done.returncode == code, done.stderr
    ended = job.run()
    assert (ended.code, ended.message["outcome"]) == (code, OUTCOMES[code]), ended
    for word in words:
        assert word in done.stderr and word in ended.message["reason"], (word, done.stderr, ended.message["reason"])
    assert ("make it reachable" in ended.message["reason"]) == (code == 75)
    assert not job.model.log() and not job.ask("SELECT 1 FROM event")
    return done.stderr, ended


@pytest.mark.parametrize(("fault", "code", "words"), REFUSALS, ids=lambda value: str(value)[:24])
def test_a_store_that_refuses_for_good_is_named_with_what_to_do(bucket, new_job, fault, code, words):
    job = new_job(SMALL_JOB)
    bucket.serve(job)
    bucket.fail(fault)
    refused(job, code, words)
    bucket.fail(None)
    end_well(job)


@pytest.mark.parametrize("bucket", ["object-store-server", "openstack-swift"], indirect=True)
def test_a_bucket_that_is_not_there_is_named(bucket, new_job):
    job = new_job(SMALL_JOB)
    bucket.serve(job)
    job.change(AGENT_SNAPSHOT_URL="s3://no-such-bucket/agents")
    refused(job, 78, "NoSuchBucket", "make the bucket, or correct AGENT_SNAPSHOT_URL")


def test_a_store_that_passes_over_conditions_starts_no_job_and_is_named(bucket, new_job):
    job = new_job(SMALL_JOB)
    bucket.serve(job)
    bucket.fail("unconditional")
    ended = job.run()
    assert (ended.code, ended.message["outcome"]) == (78, "configuration"), ended
    assert "the store passes over If-None-Match" in ended.message["reason"]
    assert not job.model.log()


def test_a_store_whose_certificate_nobody_vouches_for_is_named(bucket, new_job, tmp_path):
    job = new_job(SMALL_JOB)
    bucket.serve(job)
    one = authority(tmp_path, "one")
    proxy = SecureProxy(int(bucket.endpoint.rsplit(":", 1)[1]), tmp_path, "one")
    job.change(AGENT_S3_ENDPOINT=proxy.url)
    refused(job, 78, "certificate", "put the authority that has signed the store's certificate into SSL_CERT_FILE")
    file = job.root / "ca.pem"
    file.write_text(one)
    job.change(SSL_CERT_FILE=str(file))
    end_well(job)


def test_a_store_that_is_out_of_reach_is_to_be_tried_again(bucket, new_job):
    job = new_job(SMALL_JOB)
    bucket.serve(job)
    job.change(AGENT_S3_ENDPOINT=f"http://127.0.0.1:{free_port()}")
    hurry(job)
    refused(job, 75, "127.0.0.1", "look at AGENT_S3_ENDPOINT, the proxy and the network")


@pytest.mark.parametrize("name", ["s3-access-key-id", "s3-secret-access-key"])
def test_a_missing_key_is_said_at_once_in_the_same_words(bucket, new_job, name):
    job = new_job(SMALL_JOB)
    bucket.serve(job)
    (job.secrets / name).unlink()
    said, ended = refused(job, 77, f"no file {name}", "unset AGENT_SNAPSHOT_URL")
    assert said == f"agent-init restore: {ended.message['reason']}\n"
    assert not bucket.requests() and not job.database.exists()


# MARK: a key that is refused


def test_a_refused_key_is_77_after_its_time(bucket, new_job):
    job = new_job(SMALL_JOB)
    bucket.serve(job)
    job.put_secret("s3-secret-access-key", "another-secret")
    hurry(job)
    said, ended = refused(job, 77, "SignatureDoesNotMatch", "s3-secret-access-key", "90 s")
    for text in (said, ended.said):
        assert "they are read again" in text and "another-secret" not in text
    assert len(bucket.requests()) >= 18, "it was not tried again"


def test_a_key_that_comes_while_the_former_is_refused_is_used(bucket, new_job):
    job = new_job(SMALL_JOB)
    bucket.serve(job)
    job.put_secret("s3-secret-access-key", "another-secret")
    run = job.start()
    run.until("the warning", lambda: "the object store refuses the credentials" in run.read("out"))
    job.put_secret("s3-secret-access-key", bucket.secret_key)
    ended = run.wait()
    assert ended.code == 0, ended


@pytest.mark.parametrize("command", ["run", "restore"])
def test_a_stop_while_a_key_is_waited_for_is_at_once(bucket, new_job, command):
    job = new_job(SMALL_JOB)
    bucket.serve(job)
    job.put_secret("s3-secret-access-key", "another-secret")
    if command == "run":
        run = job.start()
        run.until("the warning", lambda: "the object store refuses the credentials" in run.read("out"))
        run.process.send_signal(signal.SIGTERM)
        ended = run.wait(timeout=30)
        assert (ended.code, ended.message["outcome"]) == (143, "stopped")
    else:
        with subprocess.Popen(job.command("restore"), env=job.settings, cwd="/", stderr=subprocess.PIPE, text=True) as process:
            assert "they are read again" in process.stderr.readline()
            process.terminate()
            assert process.wait(timeout=30) == 143
