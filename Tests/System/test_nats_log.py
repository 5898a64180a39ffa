"""A job and NATS: the log and the events arrive once and in order whatever dies."""

import contextlib
import json
import os
import random
import signal
import time

import pytest

import nats_process
from job import KEY, free_port
from job_ends import end_well
from job_nats import HELD, nats, client, with_nats, go, stored, check_log, check_events
from nats_client import NATS
from nats_process import NATSProcess
from turns import SMALL_JOB, execute, job_of, turn


pytestmark = pytest.mark.skipif(nats_process.program() is None, reason="nats-server is not installed")


# MARK: The log and the events


@pytest.mark.parametrize("api", ["anthropic", "openai"])
def test_the_log_and_the_events_of_a_job_arrive(new_job, nats, client, api):
    job = with_nats(new_job, nats, SMALL_JOB, api=api)
    end_well(job)
    records = check_log(client, job)
    types = check_events(client, job)
    assert types[0] == "agent.started" and types[-1] == "agent.completed"
    assert {"agent.task.received", "agent.phase.changed", "agent.todo.changed"} <= set(types)
    said = [record["body"] for record in records]
    assert any("Do what the script says." in body for body in said)
    assert any("grep -q 42 result" in body for body in said) and any("good" in body for body in said)


def test_everything_arrives_once_over_kills_of_the_whole_tree(new_job, nats, client):
    work = [turn(execute(f"echo {number} >> effects; sleep 0.1"), delay_ms=50) for number in range(8)]
    job = with_nats(new_job, nats, job_of(*work))
    moments = random.Random(7)
    for _ in range(4):
        job.start()
        time.sleep(moments.uniform(0.2, 1.2))
        job.kill()
        assert [r["seq"] for r in stored(client, "logs", job)] == list(range(1, len(stored(client, "logs", job)) + 1))
    assert job.run().code == 0
    job.journal().check(model=job.model.log())
    check_log(client, job)
    types = check_events(client, job)
    assert types.count("agent.completed") == 1 and types.count("agent.started") == len(job.journal().of("acquired"))


def test_everything_arrives_once_over_kills_of_the_gateway(new_job, nats, client):
    work = [turn(execute(f"echo {number} >> effects; sleep 0.15")) for number in range(8)]
    job = with_nats(new_job, nats, job_of(*work))
    run = job.start()
    for number in (1, 3, 5):
        run.until(f"step {number}", lambda: f"{number}\n" in job.file("effects"))
        with contextlib.suppress(ProcessLookupError, TypeError):
            os.kill(job.pid("gateway"), signal.SIGKILL)
    ended = run.wait()
    assert ended.code == 0, ended
    check_log(client, job)
    check_events(client, job)


def test_a_server_that_is_away_at_the_start_gets_everything_at_a_later_start(new_job, tmp_path):
    port = free_port()
    job = new_job(SMALL_JOB, NATS_URL=f"nats://127.0.0.1:{port}", AGENT_NATS_CREATE_STREAMS="true")
    end_well(job)
    with NATSProcess(tmp_path / "nats", "-p", str(port)) as server:
        job.spared.add(server.process.pid)
        assert job.run().code == 0
        with NATS(server.url) as client:
            check_log(client, job)
            types = check_events(client, job)
    assert types.count("agent.completed") == 1


def test_a_server_that_comes_late_gets_everything(new_job, tmp_path):
    port = free_port()
    job = new_job(job_of(turn(execute(HELD))), NATS_URL=f"nats://127.0.0.1:{port}", AGENT_NATS_CREATE_STREAMS="true")
    run = job.start()
    run.until("the command runs", lambda: job.file("effects"))
    with NATSProcess(tmp_path / "nats", "-p", str(port)) as server, NATS(server.url) as client:
        job.spared.add(server.process.pid)
        run.until("records arrive", lambda: stored(client, "logs", job))
        go(job)
        assert run.wait().code == 0
        check_log(client, job)
        check_events(client, job)


def test_a_server_that_is_killed_and_comes_back_gets_everything(new_job, tmp_path):
    port = free_port()
    with NATSProcess(tmp_path / "nats", "-p", str(port)) as server:
        job = new_job(job_of(turn(execute(HELD)), *[turn(execute(f"echo {n} >> effects")) for n in range(5)],
                             turn(execute(HELD.replace("go", "on")))),
                      NATS_URL=server.url, AGENT_NATS_CREATE_STREAMS="true")
        run = job.start()
        run.until("the command runs", lambda: job.file("effects"))
        with NATS(server.url) as client:
            run.until("records arrive", lambda: stored(client, "logs", job))
        server.process.kill()
        server.process.wait()
    go(job)
    # The agent works on while nobody listens.
    run.until("the other command runs", lambda: job.file("effects").count("begun") == 2)
    with NATSProcess(tmp_path / "nats", "-p", str(port)) as server, NATS(server.url) as client:
        job.spared.add(server.process.pid)
        run.until("what happened meanwhile arrives",
                  lambda: any("home/on" in record["body"] for record in stored(client, "logs", job)))
        (job.workspace / "home/on").touch()
        ended = run.wait()
        assert ended.code == 0, ended
        check_log(client, job)
        check_events(client, job)


def test_without_a_stream_the_job_runs_and_the_log_says_what_is_missing(new_job, nats, client):
    job = new_job(SMALL_JOB, NATS_URL=nats.url)
    ended = job.run()
    assert ended.code == 0
    assert client.stream_of(f"logs.agent.{job.name}") is None
    assert "AGENT_NATS_CREATE_STREAMS" in ended.said
    # Given its streams, the next start ships what is kept.
    job.change(AGENT_NATS_CREATE_STREAMS="true")
    assert job.run().code == 0
    check_log(client, job)


def test_a_nats_address_that_is_none(new_job):
    job = new_job(SMALL_JOB, NATS_URL="http://[nowhere")
    ended = job.run()
    assert ended.code == 78 and "NATS_URL" in ended.message["reason"], ended


def test_two_jobs_on_one_server_do_not_mix(new_job, nats, client):
    one, two = with_nats(new_job, nats, SMALL_JOB, name="one"), with_nats(new_job, nats, SMALL_JOB, name="two")
    runs = [job.start() for job in (one, two)]
    assert [run.wait().code for run in runs] == [0, 0]
    for job in (one, two):
        check_log(client, job)
        check_events(client, job)


def test_no_secret_gets_into_the_log(new_job, nats, client):
    job = with_nats(new_job, nats, job_of(
        turn(execute(f"echo {KEY}; echo {KEY} | base64; echo -n {KEY} | od -An -tx1 | tr -d ' \\n'"),
             text=f"The key is {KEY}.")), AGENT_TASK=f"Use the key {KEY}.")
    ended = job.run()
    assert ended.code == 0
    everything = json.dumps(stored(client, "logs", job) + stored(client, "events", job)) + ended.said
    assert KEY not in everything and KEY.encode().hex() not in everything
    assert "dGVzdC1rZXktb2YtdGhlLXN5c3Rl" not in everything
    assert KEY not in (job.checkpoints / f"spool_{job.name}.db").read_bytes().decode("latin-1")
    check_log(client, job)


# MARK: Without NATS


def test_without_nats_the_log_goes_to_standard_output_as_json(new_job):
    job = new_job(SMALL_JOB)
    ended = job.run()
    assert ended.code == 0
    records = ended.records
    assert [record["seq"] for record in records] == list(range(1, len(records) + 1))
    assert [record["attributes"]["journal.seq"] for record in records if record["stream"] == "journal"] == [
        event.seq for event in job.journal().events]
    assert all({"timestamp", "severity_text", "severity_number", "body", "job_id"} <= set(record) for record in records)


def test_without_nats_the_log_goes_on_where_it_was_after_a_kill(new_job):
    job = new_job(job_of(turn(execute(HELD)), turn(execute("true"))))
    first = job.start()
    first.until("the command is in the log", lambda: "begun >> effects" in first.read("out"))
    job.kill()
    go(job)
    second = job.run()
    assert second.code == 0
    numbers = [json.loads(line)["seq"] for line in first.read("out").splitlines()]
    more = [record["seq"] for record in second.records]
    assert numbers == list(range(1, len(numbers) + 1)) and more == list(range(more[0], more[0] + len(more)))
    assert more[0] <= numbers[-1] + 1, "a record is missing"


def test_the_log_for_people_is_text(new_job):
    job = new_job(SMALL_JOB, AGENT_LOG_FORMAT="text")
    ended = job.run()
    assert ended.code == 0
    for word in ("STRATEGIC", "TACTICAL", "VERIFY", "grep -q 42 result", "good", "verification passed"):
        assert word in ended.out, word
    assert not ended.out.startswith("{")


def test_a_copy_of_the_log_goes_to_a_file(new_job):
    job = new_job(SMALL_JOB)
    job.change(AGENT_LOG_FILE=str(job.workspace / "agent.log"))
    ended = job.run()
    assert ended.code == 0
    lines = (job.workspace / "agent.log").read_text().splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [record["seq"] for record in ended.records]
