"""`agent-init doctor` with a job's settings: what that job needs is tried, and named where it is missing."""
import json
import socket

import pytest

from job import KEY
from job_nats import nats, with_nats  # noqa: F401
from turns import complete, done, plan, turn

SCRIPT = {"turns": [plan("Work"), turn(done("t1")), complete()], "require_key": KEY,
          "models": ["claude-sonnet-4-6", "another"]}


def examine(job, code):
    """The findings of the job's group, and the whole result."""
    done = job.agent("doctor", "--json")
    assert done.returncode == code, (done.stdout, done.stderr)
    result = json.loads(done.stdout)
    assert result["exit_code"] == code and result["looks_at_job"] is True
    for finding in result["findings"]:
        assert finding["verdict"] != "bad" or finding["remedy"]
        assert KEY not in json.dumps(finding)
    return {one["name"]: one for one in result["findings"] if one["group"] == "job"}, result


def last_line(job):
    return job.agent("doctor").stdout.splitlines()[-1]


@pytest.mark.parametrize("api", ["anthropic", "openai"])
def test_a_job_that_has_all_it_needs_is_told_so_and_nothing_is_spent(new_job, api):
    model = {"anthropic": "claude-sonnet-4-6", "openai": "gpt-5.4"}[api]
    job = new_job({**SCRIPT, "models": [model]}, api=api)
    found, _ = examine(job, 0)
    assert {name: one["verdict"] for name, one in found.items()} == {
        "settings": "good", "task": "good", "LLM": "good", "port": "note"}
    assert f"takes the key and has {model}" in found["LLM"]["text"]
    assert [request["api"] for request in job.model.log()] == ["models"], "no model was asked for an answer"
    assert last_line(job) == "The configured jail is enforced here; nothing stands in the way of this job."
    assert not job.database.exists()


def test_without_a_job_it_does_not_say_that_nothing_stands_in_the_way(sandbox):
    text = sandbox.run("doctor").stdout.decode()
    assert "No job was looked at" in text.splitlines()[-1] and "nothing stands in the way" not in text


def test_a_key_that_is_refused_or_missing_is_77(new_job):
    job = new_job({**SCRIPT, "require_key": "another-key-than-ours"})
    found, result = examine(job, 77)
    assert "invalid x-api-key" in found["LLM"]["text"] and result["enforceable"] is True
    assert last_line(job) == "The jail is enforced, but a job cannot run (exit 77): job: LLM."
    (job.secrets / "anthropic-api-key").unlink()
    found, _ = examine(job, 77)
    assert "there is no LLM key" in found["LLM"]["text"]


def test_a_server_that_is_not_there_is_75(new_job):
    job = new_job(SCRIPT)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        job.change(AGENT_BASE_URL=f"http://127.0.0.1:{nobody.getsockname()[1]}")
        found, _ = examine(job, 75)
    assert found["LLM"]["verdict"] == "bad" and "AGENT_BASE_URL" in found["LLM"]["remedy"]


def test_a_model_that_the_server_does_not_list_is_named(new_job):
    job = new_job(SCRIPT, AGENT_MODEL="claude-sonnet-4-4")
    found, _ = examine(job, 0)
    assert found["LLM"]["verdict"] == "weak"
    assert "claude-sonnet-4-4" in found["LLM"]["text"] and "claude-sonnet-4-6" in found["LLM"]["text"]


def test_a_server_without_a_list_says_nothing_of_the_key_and_it_is_not_said_to_be_good(new_job):
    job = new_job({key: value for key, value in SCRIPT.items() if key != "models"})
    found, _ = examine(job, 0)
    assert found["LLM"]["verdict"] == "note" and "has no list of models" in found["LLM"]["text"]


def test_all_wrong_settings_are_named(new_job):
    job = new_job(SCRIPT, AGENT_MAX_STEPS="many", AGENT_LLM_OUTAGE_SECONDS="-3")
    found, _ = examine(job, 78)
    assert set(found) == {"settings"}
    assert "AGENT_MAX_STEPS" in json.dumps(found) and "AGENT_LLM_OUTAGE_SECONDS" in json.dumps(found)


def test_a_job_without_a_task_is_78_unless_it_has_begun(new_job):
    job = new_job(SCRIPT)
    job.change(AGENT_TASK=None)
    found, _ = examine(job, 78)
    assert "AGENT_TASK" in found["task"]["text"] + found["task"]["remedy"]
    job.change(AGENT_TASK="Do it.")
    assert job.run().code == 0
    job.change(AGENT_TASK=None)
    assert examine(job, 0)[0]["task"]["verdict"] == "note"
    job.change(AGENT_TASK="Another one.")
    assert "is not the task that job job-1 began with" in examine(job, 78)[0]["task"]["text"]


def test_a_port_that_is_taken_is_78(new_job):
    job = new_job(SCRIPT)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        job.change(AGENT_LISTEN="127.0.0.1:%d" % taken.getsockname()[1])
        found, _ = examine(job, 78)
        assert "Address already in use" in found["port"]["text"] and "AGENT_LISTEN" in found["port"]["remedy"]
    # Any that is free.
    job.change(AGENT_LISTEN="127.0.0.1:0")
    assert examine(job, 0)[0]["port"]["verdict"] == "good"


def test_nats_that_is_not_there_and_streams_that_are_missing_are_75(new_job, nats):
    job = with_nats(new_job, nats, SCRIPT)
    assert "will be made" in examine(job, 0)[0]["NATS"]["text"]
    job.change(AGENT_NATS_CREATE_STREAMS=None)
    found, _ = examine(job, 75)
    assert "no JetStream stream keeps logs.agent.job-1" in found["NATS"]["text"]
    job.change(NATS_URL="nats://127.0.0.1:1")
    found, _ = examine(job, 75)
    assert "no connection to nats://127.0.0.1:1" in found["NATS"]["text"]


def test_the_streams_of_a_job_that_has_run_are_named(new_job, nats):
    job = with_nats(new_job, nats, SCRIPT)
    assert job.run().code == 0
    assert "logs.agent.job-1 is kept by AGENT_LOGS" in examine(job, 0)[0]["NATS"]["text"]


def test_the_store_is_written_and_left_as_it_was(bucket, new_job):
    job = new_job(SCRIPT)
    bucket.serve(job)
    assert examine(job, 0)[0]["store"]["verdict"] == "good"
    asked = [line.split()[:2] for line in bucket.requests()]
    assert len({path for method, path in asked if method == "PUT"}) == 1
    assert [method for method, _ in asked].count("DELETE") == 1 and asked[-1][0] == "DELETE"
    job.put_secret("s3-secret-access-key", "wrong")
    assert examine(job, 77)[0]["store"]["verdict"] == "bad"
    job.change(AGENT_S3_ENDPOINT="http://127.0.0.1:1")
    assert examine(job, 75)[0]["store"]["verdict"] == "bad"


def test_a_folder_for_snapshots_is_left_as_it_was(new_job):
    job = new_job(SCRIPT)
    folder = job.root / "snapshots"
    job.own(job.root)
    job.change(AGENT_SNAPSHOT_URL=f"file://{folder}")
    assert examine(job, 0)[0]["store"]["verdict"] == "good"
    assert not folder.exists()
    folder.mkdir()
    job.own(folder)
    assert examine(job, 0)[0]["store"]["verdict"] == "good"
    assert list(folder.rglob("*")) == []


def test_what_commands_are_granted_is_listed_and_the_programs_that_tools_start(new_job):
    job = new_job(SCRIPT)
    _, result = examine(job, 0)
    grants, = [one["text"] for one in result["findings"] if one["name"] == "grants"]
    for place in (str(job.project), "/dev/shm", "/dev/null", "/usr", "/etc", "/proc"):
        assert place in grants.replace(";", "").split()
    assert str(job.checkpoints) not in grants and str(job.secrets) not in grants
    programs = {one["name"]: one for one in result["findings"] if one["group"] == "programs"}
    assert {programs[name]["verdict"] for name in ("bash", "grep", "find", "agent-init")} == {"good"}


def test_programs_where_commands_can_write_are_78(new_job):
    job = new_job(SCRIPT)
    _, result = examine(job, 0)
    job.change(AGENT_CONFIG=str(job.project / "config"))
    job.project.mkdir(parents=True, exist_ok=True)
    (job.project / "config").write_text("{}")
    job.own(job.project, job.project / "config")
    done = job.agent("doctor", "--json")
    assert done.returncode == 78
    assert "AGENT_CONFIG" in done.stdout and "where commands can write" in done.stdout
