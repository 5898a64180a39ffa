"""Commands by NATS: each acts once, is recorded before it acts, and holds up no other."""

import pytest

import nats_process
from job import eventually
from job_ends import end_well
from job_nats import HELD, nats, client, with_nats, go, check_log, check_events, send
from nats_client import NATS, NATSError
from nats_process import NATSProcess
from turns import SMALL_JOB, call, complete, done, execute, job_of, plan, turn


pytestmark = pytest.mark.skipif(nats_process.program() is None, reason="nats-server is not installed")


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


def test_pause_counts_while_the_model_is_out(new_job, nats, client):
    job = with_nats(new_job, nats, {"turns": [
        plan("Work", fault={"status": 529, "headers": {"retry-after": "2"}}), turn(done("t1")), complete()]})
    run = job.start()
    run.until("the backoff", lambda: job.ask("SELECT 1 FROM head WHERE status = 'backoff'"))
    send(client, job, "pause")
    run.until("it is paused", lambda: job.ask("SELECT 1 FROM head WHERE status = 'paused'"))
    send(client, job, "resume")
    assert run.wait().code == 0
    journal = job.journal()
    journal.check(model=job.model.log())
    # The pause does not shorten what the provider asked for.
    assert journal.of("llm_intent")[1].time >= journal.of("llm_failed")[0]["retryAt"]


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


def test_sigterm_while_it_waits_for_a_task(new_job, nats, client):
    job = with_nats(new_job, nats, SMALL_JOB, AGENT_TASK=None)
    run = job.start()
    run.until("it waits", lambda: job.ask("SELECT 1 FROM head WHERE status = 'waiting_for_task' AND seq = 1"))
    ended = run.stop()
    assert (ended.code, ended.message["outcome"]) == (143, "stopped"), ended
    send(client, job, "task", "Write the answer.")
    assert job.run().code == 0
    job.journal().check(model=job.model.log())


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
