"""A job is completed only by what shows it, and over no word of its user's."""

import pytest

import nats_process
from job_ends import end_well
from job_nats import client, nats, send, with_nats
from turns import call, complete, done, execute, plan, todo, turn


def test_a_claim_that_nothing_shows_is_refused_with_what_is_missing(new_job):
    job = new_job({"turns": [
        complete(),
        plan("The result", expect=["Nothing shows that the job is done", "no todo that is done, no deliverable"]),
        turn(call("write_file", path="result", content="1"), done("t1")),
        complete("result"),
    ]})
    journal = end_well(job)
    assert journal.results("job_complete")["1.0"]["outcome"] == "refused"


def test_a_claim_that_failed_does_not_pass_by_naming_less(new_job):
    job = new_job({"turns": [
        plan("Work"),
        turn(done("t1")),
        complete("result"),
        complete(expect=["failed: the deliverable result exists"]),
        plan("The result", expect=["named a deliverable that is not there"]),
        turn(call("write_file", path="result", content="1"), done("t2")),
        complete("result"),
    ]})
    journal = end_well(job)
    assert [event["passed"] for event in journal.of("verified")] == [False, True] and job.file("result") == "1"


def test_evidence_behind_a_command_that_failed_is_not_recorded(new_job):
    job = new_job({"turns": [
        plan("Work"),
        turn(execute("exit 3"), done("t1")),
        turn(execute("true"), done("t1"), expect=["exit code 3", "t1 stays as it is: the call execute before this one"]),
        complete(),
    ]})
    journal = end_well(job)
    assert [result["outcome"] for result in journal.results("todo_update").values()] == ["refused", "done"]


# MARK: A word that came before the end

WAITS = "touch begun; until [ -e go ]; do sleep 0.05; done"


@pytest.mark.skipif(nats_process.program() is None, reason="nats-server is not installed")
def test_a_message_during_the_verification_stops_it_and_reaches_the_model(new_job, nats, client):
    job = with_nats(new_job, nats, {"turns": [
        plan(todo("Work", WAITS)),
        turn(done("t1")),
        complete(),
        plan("The other thing", expect=["A message from the user:\nAlso the other thing.",
                                        "failed: no message of the user has come since the claim",
                                        "passed: the check of t1"]),
        turn(call("write_file", path="other", content="1"), done("t2")),
        complete("other"),
    ]})
    run = job.start()
    run.until("the check runs", lambda: (job.project / "begun").exists())
    send(client, job, "message", "Also the other thing.")
    run.until("it is recorded", lambda: job.ask("SELECT 1 FROM event WHERE kind = 'command_received'"))
    (job.project / "go").touch()
    ended = run.wait()
    assert (ended.code, job.file("other")) == (0, "1"), ended
    journal = job.journal()
    journal.check(model=job.model.log())
    assert [event["passed"] for event in journal.of("verified")] == [False, True]


def claiming(new_job, nats, client):
    """A job whose claiming answer is under way when a message comes."""
    job = with_nats(new_job, nats, {"turns": [
        plan("Work"),
        turn(done("t1")),
        complete(delay_ms=3000),
        plan("The other thing", expect=["A message from the user:\nAlso the other thing."]),
        turn(call("write_file", path="other", content="1"), done("t2")),
        complete("other"),
    ]})
    run = job.start()
    run.until("the last question is out", lambda: job.ask(
        "SELECT 1 FROM event WHERE kind = 'llm_intent' AND body LIKE '%\"turn\":3%'"))
    send(client, job, "message", "Also the other thing.")
    run.until("it is recorded", lambda: job.ask("SELECT 1 FROM event WHERE kind = 'command_received'"))
    return job, run


@pytest.mark.skipif(nats_process.program() is None, reason="nats-server is not installed")
def test_a_message_while_the_claiming_answer_is_under_way_is_read_first(new_job, nats, client):
    job, run = claiming(new_job, nats, client)
    ended = run.wait()
    assert (ended.code, job.file("other")) == (0, "1"), ended
    assert job.refusals() == []
    journal = job.journal()
    assert [event["passed"] for event in journal.of("verified")] == [True]
    assert journal.results("job_complete")["3.0"]["outcome"] == "refused"


@pytest.mark.skipif(nats_process.program() is None, reason="nats-server is not installed")
def test_a_message_whose_process_was_killed_is_in_the_question_that_is_asked_again(new_job, nats, client):
    job, _ = claiming(new_job, nats, client)
    job.kill()
    end_well(job)
    asked = [request["last_text"] for request in job.model.log() if request["position"] == 2]
    assert len(asked) == 2 and "Also the other thing." in asked[1] and "Also the other thing." not in asked[0]
