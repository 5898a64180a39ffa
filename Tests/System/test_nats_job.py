"""A job and NATS: the log and the events arrive once and in order whatever dies, and commands act once."""

import contextlib
import json
import os
import random
import signal
import time

import pytest

import nats_process
from job import KEY, eventually, free_port
from nats_client import NATS, NATSError
from nats_process import NATSProcess
from test_job import end_well
from turns import SMALL_JOB, call, complete, done, execute, job_of, plan, turn

pytestmark = pytest.mark.skipif(nats_process.program() is None, reason="nats-server is not installed")

HELD = "echo begun >> effects; until [ -e ../home/go ]; do sleep 0.05; done"
"""A command that runs until the test lets it go on."""


@pytest.fixture
def nats(tmp_path):
    with NATSProcess(tmp_path / "nats") as server:
        yield server


@pytest.fixture
def client(nats):
    with NATS(nats.url) as connection:
        yield connection


def with_nats(new_job, nats, script, **settings):
    return new_job(script, NATS_URL=nats.url, AGENT_NATS_CREATE_STREAMS="true", **settings)


def go(job):
    (job.workspace / "home/go").touch()


def stored(client, kind, job):
    """Everything that JetStream keeps of the job on that subject, in order."""
    return [message for _, message in client.stored(f"{kind}.agent.{job.name}")]


def check_log(client, job):
    """Every record once, in order, without a gap; and in them every event of the journal, once and in order."""
    records = stored(client, "logs", job)
    assert [record["seq"] for record in records] == list(range(1, len(records) + 1))
    assert {record["job_id"] for record in records} == {job.name}
    of_journal = [record["attributes"] for record in records if record["stream"] == "journal"]
    journal = job.journal()
    assert [attributes["journal.seq"] for attributes in of_journal] == [event.seq for event in journal.events]
    assert [attributes["event.name"] for attributes in of_journal] == [event.kind for event in journal.events]
    times = [record["timestamp"] for record in records if record["stream"] == "journal"]
    assert times == sorted(times)
    return records


def check_events(client, job):
    """Every event once: CloudEvents with an id of their own, and each change of phase as the journal has it."""
    events = stored(client, "events", job)
    for event in events:
        assert event["specversion"] == "1.0" and event["subject"] == job.name
        assert event["type"].startswith("agent.") and event["time"] and event["source"]
    identifiers = [event["id"] for event in events]
    assert len(set(identifiers)) == len(identifiers)
    changes = [event["data"]["to"] for event in events if event["type"] == "agent.phase.changed"]
    assert changes == job.journal().phases()
    return [event["type"] for event in events]


def send(client, job, kind, text="", identifier=None):
    """Sends a command as anybody would, and waits until JetStream has it."""
    body = {"id": identifier or f"{kind}-{random.randrange(10**9)}", "kind": kind, "text": text}
    eventually("a stream for commands", lambda: client.stream_of(f"cmd.agent.{job.name}"))
    answer = client.request(f"cmd.agent.{job.name}", json.dumps(body).encode()).json()
    assert "seq" in answer, answer
    return body["id"]


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


# MARK: Commands


def test_a_task_command_starts_a_job_that_waits(new_job, nats, client):
    job = with_nats(new_job, nats, SMALL_JOB, AGENT_TASK=None)
    run = job.start()
    run.until("it waits", lambda: job.ask("SELECT 1 FROM head WHERE status = 'waiting_for_task' AND epoch = 1"))
    identifier = send(client, job, "task", "Write the answer.")
    ended = run.wait()
    assert ended.code == 0, ended
    assert "Write the answer." in job.told(0)
    journal = job.journal()
    journal.check(model=job.model.log())
    assert [(event["id"], event["kind"]) for event in journal.of("command_received")] == [(identifier, "task")]
    check_log(client, job)


def test_a_task_that_was_sent_before_the_pod_came_is_taken(new_job, nats, client):
    client.jetstream("STREAM.CREATE.commands", name="commands", subjects=["cmd.agent.>"], storage="file")
    job = with_nats(new_job, nats, SMALL_JOB, AGENT_TASK=None)
    send(client, job, "task", "Write the answer.")
    end_well(job)
    # It is acknowledged: the next pod does not get it again.
    assert job.run().code == 0
    assert len(job.journal().of("command_received")) == 1


def test_a_message_in_the_tactical_phase_leads_to_thinking_and_is_seen(new_job, nats, client):
    job = with_nats(new_job, nats, {"turns": [
        plan("Work"),
        turn(execute(HELD)),
        turn(call("begin_tactical"), expect=["A message from the user:\nUse the blue one.", "STRATEGIC", "new input"]),
        turn(done("t1")),
        complete(),
    ]})
    run = job.start()
    run.until("the command runs", lambda: job.file("effects"))
    send(client, job, "message", "Use the blue one.")
    run.until("it is recorded", lambda: job.ask("SELECT 1 FROM event WHERE kind = 'command_received'"))
    go(job)
    assert run.wait().code == 0
    assert job.refusals() == []
    journal = job.journal()
    journal.check(model=job.model.log())
    assert journal.phases() == ["STRATEGIC", "TACTICAL", "STRATEGIC", "TACTICAL", "STRATEGIC", "VERIFY"]
    assert "agent.message.received" in check_events(client, job)


def test_a_command_with_the_same_id_acts_once(new_job, nats, client):
    job = with_nats(new_job, nats, {"turns": [
        plan("Work"),
        turn(execute(HELD)),
        turn(call("begin_tactical")),
        turn(done("t1")),
        complete(),
    ]})
    run = job.start()
    run.until("the command runs", lambda: job.file("effects"))
    for _ in range(3):
        send(client, job, "message", "Only once.", identifier="the-same")
    send(client, job, "message", "The last.", identifier="another")
    run.until("the last is recorded", lambda: job.ask("SELECT 1 FROM event WHERE body LIKE '%The last.%'"))
    go(job)
    assert run.wait().code == 0
    journal = job.journal()
    journal.check(model=job.model.log())
    assert [event["id"] for event in journal.of("command_received")] == ["the-same", "another"]
    assert job.told(2).count("Only once.") == 1


def test_a_command_acts_once_over_a_kill(new_job, nats, client):
    job = with_nats(new_job, nats, {"turns": [
        plan("Work"),
        turn(execute("echo begun >> effects; sleep 600", timeout_seconds=600)),
        turn(call("begin_tactical"), expect=["Only once."]),
        turn(done("t1")),
        complete(),
    ]})
    run = job.start()
    run.until("the command runs", lambda: job.file("effects"))
    send(client, job, "message", "Only once.", identifier="m")
    run.until("it is recorded", lambda: job.ask("SELECT 1 FROM event WHERE kind = 'command_received'"))
    # Killed before or after the acknowledgement: it comes again, or not.
    job.kill()
    end_well(job)
    assert len(job.journal().of("command_received")) == 1
    check_log(client, job)


def test_cancel_ends_the_running_command_and_the_job(new_job, nats, client):
    job = with_nats(new_job, nats, {"turns": [
        plan("Work"),
        turn(execute("echo begun >> effects; sleep 600 & sleep 600; echo ended >> effects", timeout_seconds=600),
             execute("echo never >> effects")),
    ]})
    run = job.start()
    run.until("the command runs", lambda: job.file("effects"))
    send(client, job, "cancel", "no longer needed")
    ended = run.wait()
    assert (ended.code, ended.message["outcome"], ended.message["reason"]) == (1, "cancelled", "no longer needed")
    assert not job.alive() and job.file("effects") == "begun\n"
    journal = job.journal()
    journal.check(model=job.model.log())
    assert len(job.model.log()) == 2
    assert check_events(client, job)[-1] == "agent.cancelled"
    check_log(client, job)
    assert job.run().code == 1, "it does not begin again"
    assert job.status()["status"] == "cancelled"


def test_cancel_is_not_held_up_by_an_earlier_message(new_job, nats, client):
    job = with_nats(new_job, nats, {"turns": [
        plan("Work"),
        turn(execute("echo begun >> effects; sleep 600", timeout_seconds=600)),
    ]})
    run = job.start()
    run.until("the command runs", lambda: job.file("effects"))
    send(client, job, "message", "Hurry up.")
    send(client, job, "cancel", "too slow")
    ended = run.wait(timeout=30)
    assert (ended.code, ended.message["outcome"]) == (1, "cancelled")
    assert [event["kind"] for event in job.journal().of("command_received")] == ["message", "cancel"]


def test_cancel_while_the_model_answers(new_job, nats, client):
    job = with_nats(new_job, nats, {"turns": [plan("Work", delay_ms=20000)]})
    run = job.start()
    run.until("the request", lambda: job.ask("SELECT 1 FROM llm WHERE state = 'intent'"))
    send(client, job, "cancel")
    ended = run.wait()
    assert (ended.code, ended.message["outcome"]) == (1, "cancelled")
    job.journal().check()


def test_pause_and_resume(new_job, nats, client):
    job = with_nats(new_job, nats, job_of(turn(execute(HELD)), turn(execute("true"))))
    run = job.start()
    run.until("the command runs", lambda: job.file("effects"))
    send(client, job, "pause")
    run.until("it is paused", lambda: job.ask("SELECT 1 FROM head WHERE status = 'paused'"))
    go(job)
    # A paused job stays paused over a kill.
    job.kill()
    run = job.start()
    run.until("taken over", lambda: job.ask("SELECT 1 FROM head WHERE status = 'paused' AND epoch = 2"))
    asked = len(job.model.log())
    send(client, job, "resume")
    assert run.wait().code == 0
    assert len(job.model.log()) > asked
    job.journal().check(model=job.model.log())
    types = check_events(client, job)
    assert types.index("agent.paused") < types.index("agent.resumed")


def test_a_question_is_answered_by_a_message(new_job, nats, client):
    job = with_nats(new_job, nats, {"turns": [
        turn(call("ask_human", question="Which colour?")),
        plan("Work", expect=["A message from the user:\nBlue."]),
        turn(done("t1")),
        complete(),
    ]})
    run = job.start()
    run.until("it asks", lambda: job.ask("SELECT 1 FROM head WHERE status = 'needs_input'"))
    send(client, job, "message", "Blue.")
    assert run.wait().code == 0
    assert job.refusals() == []
    assert "agent.needs_input" in check_events(client, job)


def test_nobody_answers_within_the_time_that_is_given(new_job, nats):
    job = with_nats(new_job, nats, {"turns": [turn(call("ask_human", question="Which colour?"))]},
                    AGENT_INPUT_WAIT_SECONDS="1")
    ended = job.run()
    assert (ended.code, ended.message["outcome"]) == (75, "needs_input") and "Which colour?" in ended.message["reason"]


def test_what_is_no_command_is_put_away_with_a_word(new_job, nats, client):
    job = with_nats(new_job, nats, job_of(turn(execute(HELD))))
    run = job.start()
    run.until("the command runs", lambda: job.file("effects"))
    eventually("a stream for commands", lambda: client.stream_of(f"cmd.agent.{job.name}"))
    for body in (b"not json", b"{}", b'{"id": "x", "kind": "explode"}', b"\xff\xfe", b"[" * 100_000, b'{"kind": 1}'):
        client.request(f"cmd.agent.{job.name}", body)
    identifier = send(client, job, "pause")
    run.until("the good one is taken", lambda: job.ask("SELECT 1 FROM head WHERE status = 'paused'"))
    send(client, job, "resume")
    go(job)
    ended = run.wait()
    assert ended.code == 0, ended
    journal = job.journal()
    assert [event["kind"] for event in journal.of("command_received")] == ["pause", "resume"]
    assert journal.of("command_received")[0]["id"] == identifier
    assert "explode" in ended.said
    check_log(client, job)


def test_wrong_credentials_for_nats(new_job, tmp_path):
    with NATSProcess(tmp_path / "nats", "--user", "u", "--pass", "right") as server:
        job = new_job(SMALL_JOB, NATS_URL=server.url, AGENT_NATS_CREATE_STREAMS="true")
        job.put_secret("nats-user", "u")
        job.put_secret("nats-password", "wrong")
        ended = job.run()
        # The job does not depend on its log's readers.
        assert ended.code == 0 and "right" not in ended.said
        assert "uthoriz" in ended.said or "uthentic" in ended.said
        job.put_secret("nats-password", "right")
        assert job.run().code == 0
        with NATS(server.url, user="u", password="right") as client:
            check_log(client, job)
        with pytest.raises(NATSError):
            NATS(server.url)
