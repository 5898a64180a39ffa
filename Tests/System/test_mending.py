"""Nothing that a command can do ends the job: what it takes from the agent the agent takes back, tells the model, and
goes on."""

import os
import pathlib
import subprocess

import pytest

from job import UID, eventually
from job_ends import end_well
from turns import call, complete, done, execute, job_of, plan, turn


@pytest.mark.parametrize("mode", ["000", "644"])
@pytest.mark.parametrize(("what", "path", "told"), [
    ("the project", "$PWD", True), ("the home", "$HOME", True), ("the checkpoints", "../checkpoints", True),
    ("the workspace", "..", True), ("what lies above", "../..", False),
])
def test_a_folder_whose_mode_is_taken_is_given_it_back(new_job, what, path, told, mode):
    job = new_job(job_of(
        turn(execute(f"echo one > f; chmod -R {mode} {path}")),
        turn(execute("chmod -R u+rwX . && cat f && echo two > ~/f && cat ~/f"), call("list_files"),
             call("write_file", path="g", content="three"), expect=["had lost its mode"] if told else []),
        turn(call("read_file", path="g"), expect=["one\ntwo", "g is written"]),
        deliverables=["f", "g"], check="grep -qx one f"))
    journal = end_well(job)
    assert journal.results("execute")["3.0"]["outcome"] == "done"
    assert job.agent("verify").returncode == 0


def test_all_of_it_at_once(new_job):
    everything = "chmod 000 ../checkpoints/* ../checkpoints ../home . .."
    job = new_job(job_of(
        turn(execute(f"echo one > f; {everything}")),
        turn(execute("cat f"), expect=["had lost its mode"]),
        turn(execute("true"), expect=["one"])))
    journal = end_well(job)
    assert journal.results("execute")["3.0"]["content"].endswith("one\n")


def test_a_start_after_the_modes_are_gone_goes_on(new_job):
    job = new_job(job_of(turn(execute("echo one >> effects; touch begun; until [ -e ../home/go ]; do sleep 0.05; done"))))
    run = job.start()
    run.until("the command runs", lambda: (job.project / "begun").exists())
    job.kill()
    (job.workspace / "home/go").touch()
    for path in [*job.checkpoints.iterdir(), job.checkpoints, job.project, job.workspace / "home", job.workspace]:
        path.chmod(0)
    journal = end_well(job)
    assert job.file("effects") == "one\n" and len(journal.of("restored")) == 0


def test_a_home_inside_the_temporary_folder_that_becomes_a_link_shows_nothing(new_job):
    job = new_job(job_of(
        turn(execute("rm -rf ~ && ln -s ../checkpoints ~ && readlink ~")),
        turn(execute("ls -A ~; ls ~/job_job-1.db; cat ~/*"), expect=["was gone and has been made again, empty"]),
        turn(execute("true"), expect=["cannot access"])))
    temporary = job.workspace / "tmp"
    job.change(AGENT_TMP=str(temporary), AGENT_HOME=str(temporary / "home"))
    journal = end_well(job)
    assert "SQLite format" not in journal.results("execute")["3.0"]["content"]
    assert job.checkpoints.stat().st_mode & 0o777 == 0o700


def processes():
    """How many tasks the jobs' user has: what RLIMIT_NPROC counts (setrlimit(2))."""
    count = 0
    for status in pathlib.Path("/proc").glob("[0-9]*/status"):
        try:
            lines = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
        except OSError:
            continue
        if lines["Uid"].split()[0] == str(UID):
            count += int(lines["Threads"])
    return count


@pytest.mark.skipif(os.getuid() != 0, reason="root has no limit of processes, and an ordinary user shares his with all else")
def test_a_process_table_that_a_background_command_has_filled_is_emptied(new_job):
    fill = "while :; do sleep 1000 & done 2>/dev/null"
    job = new_job(job_of(
        turn(execute(fill, background=True)),
        turn(execute("sleep 1; echo hello"), expect=["in the background as 2.0"]),
        turn(execute("true"), expect=["hello", "was ended: the pod had no process or memory left"])))
    journal = end_well(job, under=["/usr/bin/prlimit", f"--nproc={processes() + 60}"])
    assert {event["call"]: event["how"] for event in journal.of("background_ended")} == {"2.0": "scarcity"}
    assert {result["outcome"] for result in journal.results("execute").values()} == {"done"}


@pytest.mark.skipif(os.getuid() != 0, reason="root has no limit of processes, and an ordinary user shares his with all else")
def test_a_process_table_that_somebody_else_has_filled_is_told_and_the_job_goes_on(new_job):
    job = new_job(job_of(
        turn(execute("touch begun; until [ -e ../home/full ]; do read -t 0.1 < /dev/zero || true; done")),
        turn(execute("echo hello"), call("todo_update", id="t1", status="in_progress")),
        turn(call("todo_update", id="t1", status="pending"), expect=["not run: ", "used up"]),
        turn(execute("until [ -e ../home/free ]; do sleep 0.05; done; echo hello"))))
    limit = processes() + 30
    run = job.start(under=["/usr/bin/prlimit", f"--nproc={limit}"])
    run.until("the command runs", lambda: (job.project / "begun").exists())
    crowd = []

    def full():
        # With more than end when the command does, and again and again: what other tests have left ends meanwhile.
        while processes() <= limit + 20:
            crowd.append(subprocess.Popen(["/usr/bin/sleep", "1000"], user=UID, group=UID, extra_groups=[]))
        return True

    try:
        full()
        (job.workspace / "home/full").touch()
        run.until("it is told", lambda: full() and job.ask("SELECT 1 FROM call WHERE call_id = '3.0' AND state = 'failed'"))
    finally:
        for one in crowd:
            one.kill()
            one.wait()
    (job.workspace / "home/free").touch()
    ended = run.wait()
    assert ended.code == 0, ended
    assert job.refusals() == []
