"""Credentials and certificates that are exchanged while a job runs: read again, used, and cut out of the log."""

import contextlib
import json
import socket
import ssl
import subprocess
import threading

import pytest

from job import API_KEYS, Job
from job_ends import refuse
from job_nats import HELD, check_log, go
from nats_client import NATS
from nats_process import NATSProcess
from secret_volume import SecretVolume
from set_clock import hurry
from turns import SMALL_JOB, execute, job_of, turn

FIRST, SECOND = "the-first-key-of-the-test-0001", "the-second-key-of-the-test-0002"
WAITS = job_of(turn(execute(HELD, timeout_seconds=600)), turn(execute("echo ended >> effects")))
REFUSED = "SELECT count(*) FROM event WHERE kind = 'llm_failed'"
APIS = pytest.mark.parametrize("api", ["anthropic", "openai"])


def rotating(new_job, script, api="anthropic", **settings):
    """A job whose provider takes the key of a file, and whose secrets are a volume."""
    job = new_job(None, api=api, **settings)
    required = job.root / "required-key"
    required.write_text(FIRST)
    job.serve({**script, "require_key_file": str(required)})
    volume = SecretVolume(job.secrets, **{API_KEYS[api]: FIRST})
    return job, required, lambda key: volume.exchange(**{API_KEYS[api]: key})


def runs_with_the_second_key(job, required, exchange):
    """Starts the job, exchanges the key while its command waits, and lets it end."""
    run = job.start()
    run.until("the command", lambda: job.file("effects") == "begun\n")
    required.write_text(SECOND)
    exchange(SECOND)
    go(job)
    ended = run.wait()
    assert ended.code == 0, ended
    return ended


# MARK: the LLM


@APIS
def test_a_key_that_was_exchanged_is_used_from_the_next_request_on(new_job, api):
    job, required, exchange = rotating(new_job, WAITS, api)
    runs_with_the_second_key(job, required, exchange)
    journal = job.journal()
    journal.check(model=job.model.log())
    assert not journal.of("llm_failed")


@APIS
def test_a_key_that_is_refused_before_its_successor_is_there_waits_for_it(new_job, api):
    job, required, exchange = rotating(new_job, WAITS, api, AGENT_LLM_OUTAGE_SECONDS="0")
    run = job.start()
    run.until("the command", lambda: job.file("effects") == "begun\n")
    required.write_text(SECOND)
    go(job)
    run.until("the refusal", lambda: job.ask(REFUSED) == (1,))
    status = job.status()
    assert status["status"] == "backoff"
    for word in ("401", str(job.secrets), "read again", "90 s"):
        assert word in status["reason"]
    exchange(SECOND)
    # At once, and not at the next try with the former key.
    ended = run.wait()
    assert ended.code == 0, ended
    assert len(job.journal().of("llm_failed")) == 1
    job.journal().check(model=job.model.log())


@APIS
def test_a_key_that_stays_refused_is_77_after_its_time_and_what_was_done_is_not_lost(new_job, api):
    job = new_job({**SMALL_JOB, "require_key": SECOND}, api=api, AGENT_LLM_OUTAGE_SECONDS="1")
    hurry(job)
    refuse(job, 77, "not_permitted", "refuses the key", "90 s", "401", str(job.secrets))
    tried = len(job.model.log())
    assert 9 <= tried <= 20
    assert len(job.journal().of("llm_failed")) == tried
    hurry(job, 1)
    job.put_secret(API_KEYS[api], SECOND + "\n")
    assert job.run().code == 0
    job.journal().check(model=job.model.log())


@pytest.mark.parametrize(("api", "status", "body"), [
    ("anthropic", 403, {"type": "error", "error": {"type": "permission_error", "message": "no such right"}}),
    ("openai", 403, {"error": {"code": "unsupported_country_region_territory", "message": "not there"}}),
    ("openai", 401, {"error": {"type": "invalid_request_error", "code": None, "message":
                     "You have insufficient permissions for this operation. Missing scopes: model.request."}}),
])
def test_a_key_that_may_not_do_what_it_is_asked_is_77_at_once(new_job, api, status, body):
    first, *rest = SMALL_JOB["turns"]
    job = new_job({"turns": [{**first, "fault": {"status": status, "body": body, "times": 100}}, *rest]}, api=api)
    refuse(job, 77, "not_permitted", "does not allow the key", str(status), str(job.secrets))
    assert len(job.model.log()) == 1


def test_a_stop_while_a_key_is_waited_for_is_at_once_and_the_next_start_tries_at_once(new_job):
    job, required, exchange = rotating(new_job, SMALL_JOB)
    required.write_text(SECOND)
    run = job.start()
    run.until("the refusal", lambda: job.ask(REFUSED) == (1,))
    ended = run.stop()
    assert (ended.code, ended.message["outcome"]) == (143, "stopped")
    assert job.status()["status"] == "backoff"
    exchange(SECOND)
    job.change(AGENT_LLM_OUTAGE_SECONDS="0")
    assert job.run().code == 0
    journal = job.journal()
    journal.check(model=job.model.log())
    assert len(journal.of("llm_failed")) == 1


def test_a_key_that_came_while_the_job_ran_is_cut_out_of_the_log_wherever_it_stands(new_job):
    """The model itself says it, as a server may that puts its own configuration into an answer."""
    spoken = job_of(turn(execute(HELD, timeout_seconds=600)),
                    turn(execute("true"), text=f"The keys are {FIRST} and {SECOND}."))
    job, required, exchange = rotating(new_job, spoken)
    copy = job.root / "log"
    copy.mkdir()
    job.own(copy)
    job.change(AGENT_LOG_FILE=str(copy / "agent.log"))
    ended = runs_with_the_second_key(job, required, exchange)
    assert any(record["body"] == "The keys are [redacted] and [redacted]." for record in ended.records)
    kept = [path.read_bytes() for path in job.checkpoints.glob("spool_*")] + [(copy / "agent.log").read_bytes()]
    for key in (FIRST, SECOND):
        assert key not in ended.said + json.dumps(ended.message)
        assert not any(key.encode() in content for content in kept)


def test_a_secrets_folder_within_a_volume_is_followed_too(new_job):
    """`items` of a Secret may have paths: the folder that the job is told of is then one of a version."""
    job, required, _ = rotating(new_job, WAITS)
    mount = job.root / "mount"
    mount.mkdir()
    for version, key in (("..v1", FIRST), ("..v2", SECOND)):
        (mount / version / "llm").mkdir(parents=True)
        (mount / version / "llm" / API_KEYS["anthropic"]).write_text(key)
    (mount / "..data").symlink_to("..v1")
    (mount / "llm").symlink_to("..data/llm")
    job.own(mount, *mount.rglob("*"))
    job.change(AGENT_SECRETS_DIR=str(mount / "llm"))
    run = job.start()
    run.until("the command", lambda: job.file("effects") == "begun\n")
    required.write_text(SECOND)
    (mount / "..data_tmp").symlink_to("..v2")
    (mount / "..data_tmp").rename(mount / "..data")
    (mount / "..v1/llm" / API_KEYS["anthropic"]).unlink()
    go(job)
    ended = run.wait()
    assert ended.code == 0, ended


# MARK: certificates


class SecureProxy:
    """TLS before a server of the loopback, with a certificate that can be changed."""

    def __init__(self, port, folder, name):
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        self.use(folder, name)
        threading.Thread(target=self.serve, daemon=True).start()

    def use(self, folder, name):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.pass_on, args=self.listener.accept()[:1], daemon=True).start()

    def pass_on(self, client):
        with contextlib.suppress(OSError), client, socket.create_connection(("127.0.0.1", self.target)) as server, \
                self.context.wrap_socket(client, server_side=True) as secured:
            upward = threading.Thread(target=copy, args=(secured, server), daemon=True)
            upward.start()
            copy(server, secured)


def copy(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


def authority(folder, name):
    """A certificate for 127.0.0.1 that is its own authority."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2",
                    "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"], check=True, capture_output=True)
    return (folder / f"{name}.pem").read_text()


@pytest.mark.parametrize("volume", [True, False], ids=["in a volume", "as a file"])
def test_a_certificate_file_that_was_exchanged_is_used_at_the_next_connection(new_job, tmp_path, volume):
    job = new_job(WAITS)
    one, two = authority(tmp_path, "one"), authority(tmp_path, "two")
    proxy = SecureProxy(job.model.port, tmp_path, "one")
    folder = job.root / "authorities"
    folder.mkdir()
    job.own(folder)
    file = folder / "ca.pem"
    if volume:
        trusted = SecretVolume(folder, **{"ca.pem": one})
    else:
        file.write_text(one)
    job.change(AGENT_BASE_URL=proxy.url, SSL_CERT_FILE=str(file))
    run = job.start()
    run.until("the command", lambda: job.file("effects") == "begun\n")
    proxy.use(tmp_path, "two")
    go(job)
    run.until("the refusal", lambda: job.ask(REFUSED)[0] >= 1)
    assert str(file) in job.status()["reason"]
    if volume:
        trusted.exchange(**{"ca.pem": two})
    else:
        (folder / "new.pem").write_text(two)
        (folder / "new.pem").rename(file)
    ended = run.wait()
    assert ended.code == 0, ended


def test_a_certificate_file_that_is_away_is_named_and_waited_for(new_job, tmp_path):
    job = new_job(WAITS)
    one = authority(tmp_path, "one")
    proxy = SecureProxy(job.model.port, tmp_path, "one")
    folder = job.root / "authorities"
    folder.mkdir()
    file = folder / "ca.pem"
    file.write_text(one)
    job.change(AGENT_BASE_URL=proxy.url, SSL_CERT_FILE=str(file))
    run = job.start()
    run.until("the command", lambda: job.file("effects") == "begun\n")
    file.unlink()
    go(job)
    run.until("the refusal", lambda: job.ask(REFUSED)[0] >= 1)
    assert f"the certificate file {file} cannot be read (No such file" in job.status()["reason"]
    file.write_text(one)
    assert run.wait().code == 0


# MARK: NATS


@pytest.mark.parametrize("how", ["token", "password"])
def test_nats_credentials_that_were_exchanged_are_used_at_the_next_connection(new_job, tmp_path, how):
    def options(secret):
        return ("--auth", secret) if how == "token" else ("--user", "agent", "--pass", secret)

    def files(secret):
        return {"nats-token": secret} if how == "token" else {"nats-user": "agent", "nats-password": secret}

    def reads(server, secret):
        return NATS(server.url, **({"token": secret} if how == "token" else {"user": "agent", "password": secret}))

    job = new_job(WAITS)
    key = {API_KEYS["anthropic"]: FIRST}
    volume = SecretVolume(job.secrets, **key, **files("the-first-secret"))
    with NATSProcess(tmp_path / "nats", *options("the-first-secret")) as server:
        port = server.url.rsplit(":", 1)[1]
        job.change(NATS_URL=server.url, AGENT_NATS_CREATE_STREAMS="true")
        Job.spared.add(server.process.pid)
        run = job.start()
        run.until("the command", lambda: job.file("effects") == "begun\n")
        with reads(server, "the-first-secret") as reader:
            run.until("the log", lambda: reader.stream_of(f"logs.agent.{job.name}"))
    with NATSProcess(tmp_path / "nats", "-p", port, *options("the-second-secret")) as server:
        Job.spared.add(server.process.pid)
        # Refused at least once with what it has.
        log = tmp_path / "nats" / "nats-server.log"
        run.until("a refusal", lambda: "authentication error" in log.read_text())
        volume.exchange(**key, **files("the-second-secret"))
        with reads(server, "the-second-secret") as reader:
            go(job)
            ended = run.wait()
            assert ended.code == 0, ended
            check_log(reader, job)
        assert "the-second-secret" not in ended.said
