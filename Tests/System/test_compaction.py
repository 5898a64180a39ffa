"""A conversation that outgrows the model's window is compacted, and the job goes on as if nothing had been."""

import json
import signal

import pytest

from job import eventually
from job_ends import end_well
from turns import call, complete, done, execute, plan, turn

WINDOW = "10000"


def work(turns, **more):
    """A job whose tactical answers each say how full the window is."""
    return {"turns": [plan("The work"), *turns, turn(done("t1")), complete("effects")], **more}


def steps(count, fullness, first=0):
    """Answers that each leave one effect, at so many tokens of the window."""
    return [turn(execute(f"echo e{number} >> effects; seq 1 40"), text=f"Now I do number {number}.",
                 usage={"input": fullness, "output": 50}) for number in range(first, first + count)]


def effects(count):
    return "".join(f"e{number}\n" for number in range(count))


def compactions(job):
    return job.journal().of("compacted")


@pytest.mark.parametrize("api", ["anthropic", "openai"])
def test_a_long_conversation_is_compacted_once_and_the_job_completes(new_job, api):
    turns = steps(8, 2000) + steps(1, 9000, first=8) + steps(2, 1500, first=9)
    # The first request after it: what it is told of all that came before is in its first message, not in its last.
    job = new_job(work(turns), api=api, AGENT_CONTEXT_TOKENS=WINDOW)
    journal = end_well(job)
    assert job.file("effects") == effects(11)
    [event] = journal.of("compacted")
    # Ten answers, the last six of them whole.
    assert event["answers"] == 4 and event["tokens"] >= 9000
    assert any("Now I do number 1." in line for line in event["digest"])
    assert any("$ echo e1 >> effects" in line for line in event["digest"])
    assert "t1 [pending] The work" in event["brief"] or "t1 [in_progress] The work" in event["brief"]
    before, after = ([request for request in job.model.log() if request["position"] == number][0] for number in (9, 10))
    assert after["messages"] < before["messages"]
    # The originals are where they were.
    exported = job.agent("export")
    assert exported.returncode == 0 and exported.stdout.count('"kind":"llm_done"') == 14
    assert "Now I do number 0." in exported.stdout and "compacted" in job.agent("export", "--format", "markdown").stdout
    assert job.agent("verify").returncode == 0


def test_what_must_stay_is_kept_word_for_word(new_job):
    # Interrupted early, compacted late: what is known of the call is still there.
    first = turn(execute("echo e0 >> effects; echo half; sleep 600", timeout_seconds=600))
    turns = [first, *steps(8, 1500, first=1), *steps(1, 9500, first=9), *steps(1, 1000, first=10)]
    job = new_job(work(turns), AGENT_CONTEXT_TOKENS=WINDOW)
    run = job.start()
    spool = job.outputs / "2.0.out"
    run.until("it has printed", lambda: spool.exists() and "half" in spool.read_text())
    job.kill()
    journal = end_well(job)
    [event] = journal.of("compacted")
    assert len(event["words"]) == 1 and event["words"][0].startswith("interrupted:") and "half" in event["words"][0]
    assert job.file("effects") == effects(11)


OVERFLOWS = {
    "anthropic": {"type": "error", "error": {"type": "invalid_request_error",
                                             "message": "prompt is too long: 210000 tokens > 200000 maximum"}},
    "openai": {"error": {"message": "This model's maximum context length is 8192 tokens.",
                         "type": "invalid_request_error", "code": "context_length_exceeded", "param": "messages"}},
}


@pytest.mark.parametrize("api", ["anthropic", "openai"])
def test_a_model_that_says_that_its_window_is_full_is_asked_again_with_less(new_job, api):
    turns = steps(8, 100)
    turns[7]["fault"] = {"status": 400, "body": json.dumps(OVERFLOWS[api])}
    job = new_job(work(turns), api=api)
    ended = job.run()
    assert ended.code == 0, ended
    journal = job.journal()
    journal.check()
    assert [event["kind"] for event in journal.of("llm_failed")] == ["overflow"]
    assert [event["answers"] for event in journal.of("compacted")] == [2]
    assert job.file("effects") == effects(8)


def test_an_answer_that_was_cut_by_the_window_is_asked_for_again(new_job):
    cut = turn(text="I was about to", stop="model_context_window_exceeded")
    job = new_job(work([*steps(8, 100), cut, *steps(1, 100, first=8)]))
    journal = end_well(job)
    assert [event["answers"] for event in journal.of("compacted")] == [4]
    assert "cut" in job.told(10) and job.file("effects") == effects(9)


def test_what_cannot_be_made_shorter_ends_the_job_with_that_reason(new_job):
    turns = steps(8, 100)
    turns[7]["fault"] = {"status": 400, "times": 9, "body": json.dumps(OVERFLOWS["anthropic"])}
    job = new_job(work(turns))
    ended = job.run()
    assert (ended.code, ended.message["outcome"]) == (1, "failed"), ended
    assert "no longer fits" in ended.message["reason"]
    # Six answers stay, then two, then one; then there is nothing more to leave out.
    assert [event["answers"] for event in compactions(job)] == [2, 6, 7]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_around_a_compaction_it_is_there_once(new_job, moment):
    slow = {"delay_ms": 1500}
    turns = steps(8, 100) + steps(1, 9500, first=8) + steps(1, 100, first=9)
    turns[8 if moment == "before" else 9] |= slow
    job = new_job(work(turns), AGENT_CONTEXT_TOKENS=WINDOW)
    run = job.start()
    asked = 10 if moment == "before" else 11
    eventually("asked", lambda: job.ask("SELECT 1 FROM llm WHERE turn = ? AND state = 'intent'", asked))
    job.kill()
    assert run.process.returncode == -signal.SIGKILL
    journal = end_well(job)
    assert len(journal.of("compacted")) == 1
    assert job.file("effects") == effects(10)
