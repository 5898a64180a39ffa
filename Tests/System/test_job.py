"""A whole job outside of a container: the phases, their tools, and execute."""

import socket

import pytest

from job import get, KEY
from job_ends import end_well
from turns import SMALL_JOB, call, complete, done, execute, job_of, plan, turn


STRATEGIC = {"execute", "background", "read_file", "list_files", "search", "plan_write", "todo_stage", "begin_tactical", "ask_human",
             "job_complete"}
TACTICAL = {"execute", "background", "read_file", "list_files", "search", "write_file", "edit_file", "todo_update", "end_phase"}


# MARK: A whole job


@pytest.mark.parametrize("api", ["anthropic", "openai"])
def test_five_settings_are_enough(new_job, api):
    job = new_job(SMALL_JOB, api=api)
    # AGENT_LISTEN is the sixth only because something else may listen on port 8080 of this machine.
    job.change(AGENT_TERMINATION_LOG=None, AGENT_LISTEN="off", AGENT_COMMAND_ENV=None, SHELLOPTS=None)
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
        turn(execute("touch early || echo status $?"), execute(f"({secret}) || env")),
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
