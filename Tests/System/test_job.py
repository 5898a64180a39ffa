"""A whole job outside of a container: the phases, their tools, the jail, the verification, the budgets."""

import http.client
import json
import pathlib
import re
import socket

import pytest

import job as jobs
from job import KEY, eventually, free_port
from turns import SMALL_JOB, call, complete, done, execute, job_of, plan, todo, turn

STRATEGIC = {"execute", "read_file", "list_files", "search", "plan_write", "todo_stage", "begin_tactical", "ask_human",
             "job_complete"}
TACTICAL = {"execute", "read_file", "list_files", "search", "write_file", "edit_file", "todo_update", "end_phase"}


def end_well(job, **options):
    """Runs the job to its verified end and checks all that must hold of every such end."""
    ended = job.run(**options)
    assert ended.code == 0, ended
    assert ended.message["outcome"] == "completed" and ended.message["exit_code"] == 0
    assert job.refusals() == []
    journal = job.journal()
    journal.check(model=job.model.log())
    status = job.status()
    assert status["status"] == "completed"
    assert (status["step"], status["seq"], status["epoch"]) == (
        journal.spent["steps"], journal.head["seq"], journal.head["epoch"])
    assert KEY not in ended.said + json.dumps(ended.message)
    return journal


def end_failed(job, outcome, *words):
    """Runs the job to its end without success, and checks that it says why, and that it stays so."""
    ended = job.run()
    assert (ended.code, ended.message["outcome"], ended.message["exit_code"]) == (1, outcome, 1), ended
    for word in words:
        assert word in ended.message["reason"]
    status = job.status()
    assert status["status"] == outcome and status["reason"] == ended.message["reason"]
    journal = job.journal()
    journal.check(model=job.model.log())
    asked = len(job.model.log())
    assert job.run().code == 1, "an ended job does not begin again"
    assert len(job.model.log()) == asked
    return journal


# MARK: A whole job


@pytest.mark.parametrize("api", ["anthropic", "openai"])
def test_five_settings_are_enough(new_job, api):
    job = new_job(SMALL_JOB, api=api)
    # AGENT_LISTEN is the sixth only because something else may listen on port 8080 of this machine.
    job.change(AGENT_TERMINATION_LOG=None, AGENT_LISTEN="off")
    assert set(job.settings) == {"JOB_ID", "WORKSPACE_PATH", "AGENT_TASK", "AGENT_BASE_URL", "AGENT_SECRETS_DIR",
                                 "AGENT_LISTEN"}
    ended = job.run()
    assert ended.code == 0, ended
    assert job.file("result") == "42\n"
    job.journal().check(model=job.model.log())
    assert job.refusals() == []
    assert {request["api"] for request in job.model.log()} == {api}
    assert all(request["stream"] for request in job.model.log())
    assert "Do what the script says." in job.told(0)


def test_the_probes_answer_on_the_default_port(new_job):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", 8080))
        except OSError:
            pytest.skip("something else listens on port 8080")
    job = new_job(job_of(turn(execute("until [ -e ../home/go ]; do sleep 0.05; done", timeout_seconds=60))),
                  AGENT_LISTEN=None)
    run = job.start()
    assert run.until("an answer", lambda: get(8080, "/livez")) == 200
    (job.workspace / "home/go").touch()
    assert run.wait().code == 0


def test_the_phases_alternate_and_each_offers_its_own_tools(new_job):
    job = new_job({"turns": [
        plan("First"),
        turn(call("write_file", path="a", content="1"), done("t1")),
        plan("Second", "Third", expect=["t1 [done]", "all todos are closed"]),
        turn(done("t2"), expect=["t2 [pending] Second", "t3 [pending] Third"]),
        turn(call("end_phase", reason="the third is not needed")),
        plan("Fourth", expect=["the third is not needed", "t3 [pending] Third"]),
        turn(call("todo_update", id="t3", status="dropped", evidence="not needed"), done("t4")),
        complete("a"),
    ]})
    journal = end_well(job)
    assert journal.phases() == ["STRATEGIC", "TACTICAL", "STRATEGIC", "TACTICAL", "STRATEGIC", "TACTICAL", "STRATEGIC",
                                "VERIFY"]
    offered = [set(request["tools"]) for request in job.model.log()]
    assert offered == [STRATEGIC, TACTICAL, STRATEGIC, TACTICAL, TACTICAL, STRATEGIC, TACTICAL, STRATEGIC]
    assert [(row["id"], row["status"]) for row in journal.todos] == [
        ("t1", "done"), ("t2", "done"), ("t3", "dropped"), ("t4", "done")]


def test_the_tools_of_a_phase_are_enforced(new_job):
    job = new_job({"turns": [
        turn(call("write_file", path="early", content="1"), call("fly", height=3), unoffered=True),
        plan("Work", expect=["write_file is not available in the STRATEGIC phase.", "There is no tool fly"]),
        turn(call("job_complete", summary="Nothing to do.", deliverables=[]), call("begin_tactical"), unoffered=True),
        turn(done("t1"), expect=["job_complete is not available in the TACTICAL phase."]),
        complete(),
    ]})
    journal = end_well(job)
    assert not (job.project / "early").exists()
    assert [row["state"] for row in journal.calls].count("refused") == 4
    assert not [event for event in journal.of("call_started") if event["call"] in ("1.0", "1.1", "3.0", "3.1")]
    assert job.status()["calls"]["refused"] == 4


def test_wrong_input_is_told_to_the_model_and_the_job_goes_on(new_job):
    job = new_job({"turns": [
        turn(call("begin_tactical"), call("todo_stage", todos=[]), call("read_file", path="../checkpoints"),
             call("search", pattern="[")),
        plan("Work", expect=["No todo is open", '"todos" is empty', "leads out of the project tree"]),
        turn(call("todo_update", id="t9", status="done"), call("execute"), call("edit_file", path="none", old="a", new="b")),
        turn(done("t1"), expect=["There is no todo t9", '"command" is missing', "none does not exist"]),
        complete(),
    ]})
    end_well(job)


def test_all_file_tools_do_their_work(new_job):
    job = new_job({"turns": [
        plan("Work"),
        turn(call("write_file", path="deep/er/poem.txt", content="roses\nviolets\n")),
        turn(call("edit_file", path="deep/er/poem.txt", old="violets", new="tulips"),
             call("read_file", path="deep/er/poem.txt"), call("list_files"), call("search", pattern="^tul.ps$")),
        turn(done("t1"), expect=["1\troses\n2\ttulips", "deep/er/poem.txt\t13 bytes", "deep/er/poem.txt:2:tulips"]),
        complete("deep/er/poem.txt"),
    ]})
    end_well(job)
    assert job.file("deep/er/poem.txt") == "roses\ntulips\n"


# MARK: execute


def test_a_long_output_is_shown_by_head_and_tail_and_kept_whole(new_job):
    job = new_job(job_of(turn(execute("seq 1 200000"))))
    journal = end_well(job)
    whole = "".join(f"{number}\n" for number in range(1, 200001))
    shown = journal.results("execute")["2.0"]["content"]
    assert shown.startswith("exit code 0\n1\n2\n") and shown.endswith("\n199999\n200000\n")
    assert len(shown) < 40_000 and f"bytes left out of {len(whole)} bytes in 200000 lines" in shown
    assert shown in job.told(2)
    assert (job.outputs / "2.0.out").read_text() == whole
    assert (job.outputs / "2.0.out").stat().st_mode & 0o777 == 0o600
    assert job.outputs.stat().st_mode & 0o777 == 0o700


def test_a_command_ends_at_its_time_limit_with_all_it_started(new_job):
    loud = "(while :; do echo x >> ticks; sleep 0.02; done) & "
    job = new_job(job_of(
        turn(execute(loud + "setsid sleep 600 & sleep 600", timeout_seconds=1)),
        turn(execute("cp ticks then; sleep 0.3; cmp ticks then && echo silence"), expect=["its time limit of 1 s"]),
        turn(execute("true"), expect=["silence"])))
    journal = end_well(job)
    assert journal.results("execute")["2.0"]["outcome"] == "failed"


def test_nothing_that_a_command_started_outlives_it(new_job):
    loud = "while :; do echo x >> ticks; sleep 0.02; done"
    job = new_job(job_of(
        turn(execute(f"setsid nohup bash -c '{loud}' >/dev/null 2>&1 & until [ -s ticks ]; do sleep 0.01; done")),
        turn(execute("cp ticks then; sleep 0.3; cmp ticks then && echo silence"),
             expect=["exit code 0", "background processes were killed"]),
        turn(execute("true"), expect=["silence"])))
    end_well(job)


def test_a_command_has_the_project_tree_in_tactical_and_only_a_look_at_it_in_strategic(new_job):
    secret = "cat ../../secrets/* ../checkpoints/*; ls ../checkpoints ../../secrets"
    job = new_job({"turns": [
        turn(execute("touch early; echo status $?"), execute(f"({secret}); env")),
        plan("Work", expect=["Permission denied", "status 1"]),
        turn(execute("touch late; echo $PWD; echo x > $TMPDIR/y && echo x > ~/z && echo x > /dev/shm/agent-init-test "
                     "&& rm /dev/shm/agent-init-test && echo writable"), execute(f"({secret}) || echo closed")),
        turn(done("t1"), expect=["writable", "closed"]),
        complete("late"),
    ]})
    journal = end_well(job)
    assert not (job.project / "early").exists()
    said = "".join(event["content"] for event in journal.results("execute").values())
    assert str(job.project) in said
    for hidden in (KEY, "JOB_ID", "AGENT_", "anthropic-api-key", "job_job-1.db"):
        assert hidden not in said, hidden


def test_below_tmp_the_commands_get_a_temporary_folder_of_the_jobs_own(new_job):
    job = new_job(job_of(turn(execute("echo $TMPDIR; ls /tmp; cat ../../secrets/*")), turn(execute("true"))), base="/tmp")
    journal = end_well(job)
    said = journal.results("execute")["2.0"]["content"]
    assert f"{job.workspace}/tmp\n" in said and KEY not in said and "cannot open directory '/tmp'" in said


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


def get(port, path):
    """The status of GET, None if nothing answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


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
