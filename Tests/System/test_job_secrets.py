"""A secret of a real job leaves by nothing: not by its log, not by PID 1, not by the spool."""

import base64
import json
import pathlib
import subprocess

import pytest

from job import KEY
from turns import SMALL_JOB, execute, job_of, turn

PASSWORD = "hunter2-of-the-proxy"


def everything(job, ended):
    """All that has left the job, and what it keeps for the log: bytes by where they were found."""
    found = {"stdout": ended.out.encode(), "stderr": ended.err.encode(), "message": job.termination_log.read_bytes()}
    for path in job.checkpoints.rglob("*"):
        # The journal has the conversation as it was; it never leaves but through the log.
        if path.is_file() and not path.name.startswith(f"job_{job.name}.db"):
            found[path.name] = path.read_bytes()
    return found


def assert_clean(job, ended, *secrets):
    """No piece of 12 characters of a secret is there."""
    for where, data in everything(job, ended).items():
        for secret in secrets:
            pieces = {secret[start:start + 12].encode() for start in range(len(secret) - 11)}
            assert not [piece for piece in pieces if piece in data], (where, data[-2000:])


FORMS = {
    "as it is": KEY, "in JSON twice": json.dumps(f'"{KEY}"'),
    "in base64": base64.b64encode(f"xx{KEY}".encode()).decode(), "in hex": KEY.encode().hex(),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_server_that_refuses_the_key_and_echoes_it_does_not_get_it_out(new_job, form):
    text = FORMS[form]
    body = json.dumps({"type": "error", "error": {"type": "permission_error", "message": f"no such right: {text}"}})
    job = new_job({"turns": [], "after": {"fault": {"status": 403, "body": body}}})
    ended = job.run()
    assert ended.code == 77 and "no such right: " in ended.message["reason"], ended
    assert "[redacted]" in ended.message["reason"] and "[redacted]" in ended.err and "[redacted]" in ended.out
    assert_clean(job, ended, text[4:] if form == "in base64" else text.strip('"\\'))


@pytest.mark.parametrize(("settings", "code"), [
    ({"AGENT_BASE_URL": f"https://user:{PASSWORD}@127.0.0.1:1"}, 78),
    ({"HTTP_PROXY": f"http://user:{PASSWORD}@127.0.0.1:1"}, 75),
    ({"HTTP_PROXY": f"http://user:{PASSWORD}@127.0.0.1:port"}, None),
    ({"NATS_URL": f"nats://user:{PASSWORD}@127.0.0.1:1"}, None),
    ({"NATS_URL": f"nats://user:{PASSWORD}@ho st"}, 78),
    ({"AGENT_TASK_FILE": f"/nowhere/{KEY}", "AGENT_TASK": None}, 78),
], ids=["of the provider", "of a proxy", "of no proxy", "of NATS", "of no NATS", "in a path"])
def test_a_password_in_a_setting_is_in_no_error(new_job, settings, code):
    job = new_job(SMALL_JOB, AGENT_LLM_OUTAGE_SECONDS="1")
    job.change(**settings)
    ended = job.run()
    assert ended.code == code or code is None and ended.code != 70, ended
    assert_clean(job, ended, PASSWORD, KEY)


@pytest.fixture(scope="module")
def crasher(tmp_path_factory):
    library = pathlib.Path("/var/tmp") / f"agent-init-crasher-{tmp_path_factory.getbasetemp().name}.so"
    source = pathlib.Path(__file__).with_name("crasher.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    library.chmod(0o755)
    yield library
    library.unlink()


@pytest.mark.parametrize("role", ["loop", "gateway"])
def test_a_process_that_crashes_with_the_key_in_its_last_words_does_not_get_it_out(new_job, crasher, role):
    job = new_job(job_of(*[turn(execute("sleep 60", timeout_seconds=60))] * 7))
    job.change(LD_PRELOAD=str(crasher), CRASH_ROLE=role, CRASH_AFTER="700",
               CRASH_SECRET=str(job.secrets / "anthropic-api-key"))
    ended = job.run()
    assert ended.code == 70 and "was killed by signal 11 (SIGSEGV) 6 times" in ended.message["reason"], ended
    said = "Fatal error: the key is [redacted], unexpectedly"
    if role == "gateway":
        assert ended.err.count(said) == 6
    # Those of the gateway's last death wait for the next one.
    records = [record["body"] for record in ended.records if record["stream"] == "last_gasp"]
    waiting = [path.read_text() for path in (job.checkpoints / "gasps_job-1").iterdir()]
    assert len(records) + len(waiting) == 6 and all(said in text for text in records + waiting)
    assert_clean(job, ended, KEY)
