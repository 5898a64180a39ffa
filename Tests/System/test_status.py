"""`agent-init status` tells a job that runs from one that was stopped, killed or never started, and what of the figures is
estimated; a job keeps its task."""

import os
import signal

import pytest

from job import eventually
from job_ends import end_well, refuse
from turns import SMALL_JOB, call, complete, done, execute, job_of, plan, turn

# The second holds a job that goes on after the first was interrupted.
HELD = job_of(turn(execute("touch begun; until [ -e go ]; do sleep 0.05; done")),
              turn(execute("until [ -e go ]; do sleep 0.05; done")))


def held(new_job, **settings):
    job = new_job(HELD, **settings)
    run = job.start()
    run.until("the command runs", lambda: (job.project / "begun").exists())
    return job, run


def test_a_job_that_runs_says_who_holds_it_and_since_when(new_job):
    job, _ = held(new_job)
    process = job.status()["process"]
    assert (process["state"], process["pid"], process["epoch"]) == ("running", job.pid("loop"), 1)
    assert process["host"] == os.uname().nodename and process["since"].startswith("20")
    text = job.agent("status").stdout
    assert f"runs since {process['since']}: process {process['pid']} on" in text and "last event" in text


def test_a_job_that_was_killed_is_told_from_one_that_was_stopped(new_job):
    job, _ = held(new_job)
    job.kill()
    assert job.status()["process"]["state"] == "killed" and job.status()["last_event_age_ms"] >= 0
    text = job.agent("status").stdout
    assert "was killed, or its machine went down" in text and "Start the job again and it goes on" in text
    run = job.start()
    run.until("it goes on", lambda: job.status()["process"]["state"] == "running")
    assert run.stop().code == 143
    process = job.status()["process"]
    assert (process["state"], process["outcome"], process["exit_code"], process["epoch"]) == ("ended", "stopped", 143, 2)
    (job.project / "go").touch()
    end_well(job)
    assert job.status()["process"]["outcome"] == "completed"


def test_a_loop_that_was_replaced_after_a_kill_is_the_one_that_holds_the_job(new_job):
    job, run = held(new_job)
    first = job.pid("loop")
    os.kill(first, signal.SIGKILL)
    second = run.until("another one runs", lambda: (pid := job.pid("loop")) != first and pid)
    run.until("it holds the job", lambda: job.status()["process"].get("pid") == second)
    assert (job.status()["process"]["state"], job.status()["process"]["epoch"]) == ("running", 2)


def test_a_job_that_was_never_started_is_said_to_be_so(new_job):
    job = new_job(SMALL_JOB)
    for command in ("status", "history", "export", "verify"):
        looked = job.agent(command)
        assert looked.returncode == 78 and looked.stdout == "", looked
        assert "it was never started here" in looked.stderr and len(looked.stderr.splitlines()) == 1


# MARK: What nobody counted

ENDLESS = {"turns": [plan("Work")], "after": turn(execute("true"))}


@pytest.mark.parametrize("api", ["anthropic", "openai"])
@pytest.mark.parametrize("usage", [{"input": 0, "output": 0}, {"input": 500, "output": 0}])
def test_answers_that_are_not_counted_use_up_the_budget_and_are_marked(new_job, api, usage):
    script = {"turns": [{**ENDLESS["turns"][0], "usage": usage}], "after": {**ENDLESS["after"], "usage": usage}}
    job = new_job(script, api=api, AGENT_MAX_TOKENS="60000")
    ended = job.run()
    assert (ended.code, ended.message["outcome"]) == (1, "budget_exhausted") and "AGENT_MAX_TOKENS" in ended.message["reason"]
    spent = job.status()["spent"]
    assert (spent["input_tokens"], spent["output_tokens"]) == (0, 0) and 0 < spent["estimated_tokens"] <= 60000
    assert "estimated (not counted by the server)" in job.agent("status").stdout
    answers = [record["attributes"] for record in ended.records if record["attributes"].get("event.name") == "llm_done"]
    assert sum(attributes["agent.usage.estimated_tokens"] for attributes in answers) == spent["estimated_tokens"]
    end = next(record for record in ended.records if record["attributes"].get("event.name") == "status_changed")
    assert end


def test_the_cost_of_what_is_read_from_a_cache_is_the_cache_s(new_job):
    usage = {"input": 100, "output": 100, "cache_read": 100_000, "cache_creation": 0}
    script = {"turns": [{**given, "usage": usage} for given in SMALL_JOB["turns"]]}
    job = new_job(script, AGENT_PRICE_INPUT_PER_MTOK="3", AGENT_PRICE_OUTPUT_PER_MTOK="15", AGENT_MAX_COST_USD="1")
    journal = end_well(job)
    answers = journal.spent["steps"]
    assert journal.spent["cost_usd"] == pytest.approx(answers * (100 * 3 + 100_000 * 0.3 + 100 * 15) / 1e6)


# MARK: The task

def test_another_task_for_the_same_job_is_refused_and_nothing_is_lost(new_job):
    job, run = held(new_job, AGENT_TASK="Build the bridge.")
    assert run.stop().code == 143
    job.change(AGENT_TASK="Paint the fence.")
    refuse(job, 78, "configuration", "AGENT_TASK", "Build the bridge.", "Paint the fence.", "JOB_ID")
    assert job.journal().head["epoch"] == 1, "it was not taken over"
    # Without one it goes on with its own.
    job.change(AGENT_TASK=None)
    (job.project / "go").touch()
    journal = end_well(job)
    assert [event["text"] for event in journal.of("task_received")] == ["Build the bridge."]
    job.change(AGENT_TASK="Paint the fence.")
    refuse(job, 78, "configuration", "AGENT_TASK", "Build the bridge.", "Paint the fence.")


def test_another_task_does_not_stop_the_process_that_is_at_work(new_job):
    job, run = held(new_job, AGENT_TASK="Build the bridge.")
    other = job.start
    job.change(AGENT_TASK="Paint the fence.")
    second = other().wait()
    assert second.code == 78, second
    (job.project / "go").touch()
    assert run.wait().code == 0


def test_all_wrong_settings_are_named_at_once(new_job):
    job = new_job(AGENT_BASE_URL="http://127.0.0.1:9")
    job.change(AGENT_MAX_STEPS="many", AGENT_LISTEN="8080", AGENT_MODLE="x", AGENT_LOG_FORMAT="xml")
    refuse(job, 78, "configuration", "4 settings are wrong", "AGENT_MAX_STEPS is", "AGENT_LISTEN is", "AGENT_MODLE in",
           "AGENT_LOG_FORMAT is")
