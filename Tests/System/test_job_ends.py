"""How a job ends: the verification, the budgets, faults of the model; and what stays of it."""

import json
import os
import pathlib
import re
import subprocess

import pytest

import job as jobs
from job import eventually, free_port, get, KEY
from job_ends import end_well, end_failed
from turns import SMALL_JOB, call, complete, done, execute, job_of, plan, todo, turn

# MARK: VERIFY


def test_a_missing_deliverable_leads_back_to_strategic(new_job):
    job = new_job({"turns": [
        plan("Work"),
        turn(done("t1")),
        complete("result"),
        plan("The result", expect=["failed: the deliverable result exists", "passed: t1 is closed (done)"]),
        turn(call("write_file", path="result", content="1"), done("t2")),
        complete("result"),
    ]})
    journal = end_well(job)
    assert journal.phases()[-5:] == ["VERIFY", "STRATEGIC", "TACTICAL", "STRATEGIC", "VERIFY"]
    assert [event["passed"] for event in journal.of("verified")] == [False, True]


def test_the_check_of_a_todo_must_pass(new_job):
    job = new_job({"turns": [
        plan(todo("Forty-two", "grep -qx 42 result || { echo wrong answer; false; }")),
        turn(call("write_file", path="result", content="41\n"), done("t1")),
        complete("result"),
        plan("Mend it", expect=["failed: the check of t1", "wrong answer"]),
        turn(call("write_file", path="result", content="42\n"), done("t2")),
        complete("result"),
    ]})
    end_well(job)


def test_the_acceptance_command_must_pass(new_job):
    job = new_job({"turns": [
        plan("Work"),
        turn(done("t1")),
        complete(),
        plan("More work", expect=["failed: AGENT_ACCEPTANCE"]),
        turn(call("write_file", path="accepted", content=""), done("t2")),
        complete(),
    ]}, AGENT_ACCEPTANCE="test -e accepted")
    end_well(job)


def test_a_job_with_an_open_todo_is_not_complete(new_job):
    job = new_job({"turns": [
        plan("One", "Two"),
        turn(done("t1"), call("end_phase", reason="enough")),
        complete(),
        turn(call("begin_tactical"), expect=["t2 are still open"]),
        turn(done("t2")),
        complete(),
    ]})
    journal = end_well(job)
    assert journal.phases().count("VERIFY") == 1


# MARK: Ends without success

ENDLESS = {"turns": [plan("Work")], "after": turn(execute("sleep 0.3"), usage={"input": 500, "output": 100})}


@pytest.mark.parametrize(("settings", "name"), [
    ({"AGENT_MAX_STEPS": "3"}, "AGENT_MAX_STEPS"),
    ({"AGENT_MAX_TOKENS": "8000"}, "AGENT_MAX_TOKENS"),
    ({"AGENT_MAX_WALL_SECONDS": "1"}, "AGENT_MAX_WALL_SECONDS"),
    ({"AGENT_MAX_COST_USD": "0.01", "AGENT_PRICE_INPUT_PER_MTOK": "3", "AGENT_PRICE_OUTPUT_PER_MTOK": "15"},
     "AGENT_MAX_COST_USD"),
])
def test_a_spent_budget_ends_the_job_and_is_named(new_job, settings, name):
    job = new_job(ENDLESS, **settings)
    journal = end_failed(job, "budget_exhausted", name)
    if name == "AGENT_MAX_STEPS":
        assert journal.spent["steps"] == 3
    if name == "AGENT_MAX_TOKENS":
        assert sum(journal.spent[kind] for kind in ("input_tokens", "output_tokens", "lost_tokens")) <= 8000


def test_a_strategic_phase_without_a_decision_ends_at_its_limit(new_job):
    job = new_job({"turns": [], "after": turn(call("list_files"))}, AGENT_PHASE_MAX_STEPS="4")
    end_failed(job, "budget_exhausted", "AGENT_PHASE_MAX_STEPS")


def test_a_tactical_phase_at_its_limit_leads_back_to_strategic(new_job):
    job = new_job({"turns": [plan("Work"), turn(call("list_files")), turn(call("list_files")),
                             turn(call("begin_tactical"), expect=["reached its limit of 2 steps"]), turn(done("t1")),
                             complete()]}, AGENT_PHASE_MAX_STEPS="2")
    end_well(job)


def test_a_model_that_never_calls_a_tool_fails_the_job(new_job):
    job = new_job({"turns": [], "after": {"text": "I think about it."}})
    journal = end_failed(job, "failed", "3 times in a row without a tool call")
    assert len(job.model.log()) == 3
    assert "You called no tool" in job.told(1) and len(journal.of("noted")) == 2


def test_a_refusal_of_the_model_fails_the_job(new_job):
    job = new_job({"turns": [{"text": "No.", "stop": "refusal"}]})
    end_failed(job, "failed", "refused")


def test_a_call_that_was_cut_off_is_not_run(new_job):
    job = new_job(job_of(turn(execute("echo cut >> effects", timeout_seconds=5), stop="max_tokens"),
                         turn(execute("echo whole >> effects"), expect=["was cut at the output limit"])))
    end_well(job)
    assert job.file("effects") == "whole\n"


def test_a_question_that_nobody_can_answer_is_for_later(new_job):
    job = new_job({"turns": [turn(call("ask_human", question="Which colour?"))]})
    ended = job.run()
    assert (ended.code, ended.message["outcome"]) == (75, "needs_input")
    assert "Which colour?" in ended.message["reason"] and "NATS_URL" in ended.message["reason"]
    assert job.status()["status"] == "needs_input"


# MARK: A model with faults


@pytest.mark.parametrize("api", ["anthropic", "openai"])
def test_a_job_survives_the_faults_of_a_provider(new_job, api):
    job = new_job({"turns": [
        plan("Work", fault={"status": 529, "times": 2}),
        turn(execute("echo one >> effects"), fault={"cut_after_events": 3}),
        turn(execute("echo two >> effects"), fault={"error_event": "overloaded_error"}),
        turn(done("t1"), fault={"cut_after_events": 3, "clean": True}),
        complete(fault={"status": 500, "body": "<html>bad gateway</html>", "headers": {"retry-after": "1"}}),
    ]}, api=api)
    ended = job.run()
    assert ended.code == 0, ended
    journal = job.journal()
    journal.check(model=job.model.log())
    assert job.file("effects") == "one\ntwo\n"
    assert [row["state"] for row in journal.requests].count("failed") == 6
    assert len(job.model.log()) == len(journal.requests)


# MARK: The probes


def test_the_probes_answer_while_the_job_runs(new_job):
    port = free_port()
    job = new_job(job_of(turn(execute("until [ -e ../home/go ]; do sleep 0.05; done", timeout_seconds=60))),
                  AGENT_LISTEN=f"127.0.0.1:{port}")
    run = job.start()
    run.until("the command runs", lambda: (job.outputs / "2.0.out").exists())
    assert run.until("an answer", lambda: get(port, "/livez")) == 200
    run.until("ready", lambda: get(port, "/readyz") == 200)
    assert get(port, "/nothing") == 404
    (job.workspace / "home/go").touch()
    assert run.wait().code == 0


# MARK: What is on the disk and on the command line


def test_the_task_can_come_from_a_file(new_job):
    job = new_job(SMALL_JOB, AGENT_TASK=None)
    path = job.root / "task.md"
    path.write_text("Write the answer into ‘result’.")
    job.change(AGENT_TASK_FILE=str(path))
    end_well(job)
    assert "Write the answer into ‘result’." in job.told(0)


def test_the_settings_can_come_from_a_file(new_job):
    job = new_job(SMALL_JOB)
    path = job.root / "config.json"
    path.write_text(json.dumps({"AGENT_TASK": "From the file.", "AGENT_MAX_STEPS": 50, "AGENT_LISTEN": "8080"}))
    job.change(AGENT_TASK=None, AGENT_CONFIG=str(path))
    end_well(job)
    assert "From the file." in job.told(0)


def test_a_completed_job_stays_completed(new_job):
    job = new_job(SMALL_JOB)
    end_well(job)
    asked = len(job.model.log())
    again = job.run()
    assert (again.code, again.message["outcome"]) == (0, "completed")
    assert len(job.model.log()) == asked
    job.journal().check(model=job.model.log())


def test_the_checkpoint_is_only_its_owners(new_job):
    job = new_job(SMALL_JOB)
    end_well(job)
    assert job.checkpoints.stat().st_mode & 0o777 == 0o700
    for path in job.checkpoints.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
        assert path.stat().st_uid == jobs.UID
    assert KEY.encode() not in b"".join(path.read_bytes() for path in job.checkpoints.rglob("*") if path.is_file())


def test_status_is_for_people_too(new_job):
    job = new_job(SMALL_JOB)
    end_well(job)
    shown = job.agent("status")
    assert shown.returncode == 0
    assert re.search(r"^Status  completed", shown.stdout, re.M) and "[x] t1 The work" in shown.stdout


def test_two_jobs_share_a_workspace_without_meeting(new_job):
    one = new_job(SMALL_JOB)
    end_well(one)
    one.change(JOB_ID="job-2")
    ended = one.run()
    assert ended.code == 0, ended
    assert {path.name for path in one.checkpoints.glob("job_*.db")} == {"job_job-1.db", "job_job-2.db"}


def test_a_second_run_takes_the_job_from_the_first(new_job):
    # Two pods on one volume: the older one must not commit anything any more.
    waiting = "echo started >> effects; until [ -e ../home/go ]; do sleep 0.05; done; echo ended >> effects"
    job = new_job(job_of(turn(execute(waiting, timeout_seconds=60)), turn(execute("true"))))
    first = job.start()
    first.until("the command runs", lambda: job.file("effects") == "started\n")
    second = job.start()
    second.until("the second owns it", lambda: job.ask("SELECT 1 FROM event WHERE kind = 'acquired' AND epoch = 2"))
    assert second.wait().code == 0
    (job.workspace / "home/go").touch()
    ended = first.wait()
    assert ended.code != 0, ended
    eventually("nothing is left", lambda: not job.alive())
    job.journal().check(model=job.model.log())
    assert pathlib.Path(job.database).exists()


def test_a_gateway_that_is_told_to_end_as_soon_as_it_speaks_ships_everything_first(new_job):
    job = new_job(SMALL_JOB)
    expected = [event.seq for event in end_well(job).events]
    for _ in range(20):
        for path in job.checkpoints.glob("spool_*"):
            path.unlink()
        reader, writer = os.pipe()
        with os.fdopen(reader, "rb") as status, open(job.root / "shipped", "wb") as output:
            gateway = subprocess.Popen(job.command("gateway", "--status-fd", str(writer)), env=job.settings, cwd="/",
                                       pass_fds=[writer], stdin=subprocess.DEVNULL, stdout=output)
            os.close(writer)
            # PID 1 sends it when the loop has ended; a job that is over ends as fast as a gateway starts.
            assert status.readline()
            gateway.terminate()
            assert gateway.wait(timeout=jobs.HANGS) == 0
        records = [json.loads(line) for line in (job.root / "shipped").read_text(encoding="utf-8").splitlines()]
        assert [one["attributes"]["journal.seq"] for one in records if one["stream"] == "journal"] == expected
