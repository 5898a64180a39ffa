"""What our own processes have closed to themselves and to others of their user, seen from outside."""

import os
import pathlib
import subprocess

import pytest

from job import UID
from turns import execute, job_of, turn

WITH_FILTER = str(pathlib.Path(__file__).with_name("with_filter.py"))
LANDLOCK = ["444=95", "445=95", "446=95"]  # EOPNOTSUPP: not enabled on this node
WAIT = "touch ../home/here; while [ ! -e ../home/go ]; do sleep 0.02; done"


@pytest.fixture
def outside():
    """A folder of the job's user that is none of the job's places."""
    folder = pathlib.Path(subprocess.run(["mktemp", "-d", "/var/tmp/outside-XXXXXX"], check=True, text=True,
                                         stdout=subprocess.PIPE).stdout.strip())
    if os.getuid() == 0:
        os.chown(folder, UID, UID)
    yield folder
    subprocess.run(["rm", "-rf", folder], check=True)


def waiting(job):
    """Starts the job, whose first command waits, and comes back when it does."""
    run = job.start()
    run.until("the waiting command", (job.workspace / "home/here").exists)
    return run


def go_on(job):
    path = job.workspace / "home/go"
    path.touch()
    job.own(path)


def swap(path, outside):
    """The platform puts a link to elsewhere in a place's stead, where a path is looked up anew."""
    path.rename(path.with_name(path.name + ".before"))
    path.symlink_to(outside)


# MARK: of every process

def test_our_processes_gain_no_privilege_and_are_closed_to_their_own_user(new_job):
    job = new_job(job_of(turn(execute(WAIT))))
    run = waiting(job)
    pids = {"agent-init": run.process.pid, "loop": job.pid("loop"), "gateway": job.pid("gateway")}
    pids["agent-jail"] = next(pid for pid, name in job.alive() if name == "agent-jail")
    as_user = ["/usr/bin/setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"] if os.getuid() == 0 else []
    for name, pid in pids.items():
        fields = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
        assert fields["NoNewPrivs"] == "1" and fields["CapEff"].strip("0") == "", name
        for file in ("environ", "maps", "mem", "fd"):
            tried = subprocess.run([*as_user, "head", "-c1", f"/proc/{pid}/{file}"], capture_output=True, text=True)
            if file == "fd":
                tried = subprocess.run([*as_user, "ls", f"/proc/{pid}/fd"], capture_output=True, text=True)
            assert tried.returncode != 0 and "Permission denied" in tried.stderr, (name, file)
    go_on(job)
    assert run.wait().code == 0


# MARK: the loop

def test_a_command_gets_nothing_that_the_loop_itself_has_not(new_job, outside):
    """The jail would grant the folder that lies in `project`'s place; the loop's own domain, around it, does not."""
    job = new_job(job_of(turn(execute(WAIT)), turn(execute("pwd; echo stray > stray || true"))))
    run = waiting(job)
    job.project.rename(job.project.with_name("project.before"))
    outside.rename(job.project)
    go_on(job)
    run.wait()
    assert os.listdir(job.project) == []
    assert any("stray: Permission denied" in request["last_text"] for request in job.model.log())


def test_a_link_in_the_projects_place_ends_the_job_with_a_word_for_the_platform(new_job, outside):
    """No command can put it there."""
    job = new_job(job_of(turn(execute(WAIT)), turn(execute("pwd; echo stray > stray || true"))))
    run = waiting(job)
    swap(job.project, outside)
    go_on(job)
    ended = run.wait()
    assert os.listdir(outside) == []
    assert ended.code == 77
    assert f"--project {job.project} leads to {outside}: give the path that no link is a part of" in ended.said


def test_the_loop_reads_a_task_file_and_certificates_wherever_they_lie(new_job, outside):
    task, authorities = outside / "task", outside / "ca.pem"
    task.write_text("Do what the file says.")
    authorities.write_bytes(pathlib.Path("/etc/ssl/certs/ca-certificates.crt").read_bytes())
    job = new_job(job_of(turn(execute("true"))), AGENT_TASK=None, AGENT_TASK_FILE=str(task),
                  SSL_CERT_FILE=str(authorities))
    assert job.run().code == 0


def test_a_place_that_is_not_there_at_the_start_does_not_matter(new_job):
    job = new_job(job_of(turn(execute("echo made > file"), execute("mkdir -p ../home/a && mv file ../home/a/b"))))
    for folder in (job.project, job.workspace / "home"):
        assert not folder.exists()
    job.change(SSL_CERT_DIR="/no/such/folder")
    assert job.run().code == 0 and (job.workspace / "home/a/b").read_text() == "made\n"


# MARK: the gateway

@pytest.mark.parametrize("elsewhere", [False, True], ids=["in its folder", "in a folder that is not its own"])
def test_a_log_that_was_moved_away_is_made_anew_only_in_its_folder(new_job, outside, elsewhere):
    job = new_job(job_of(turn(execute(WAIT)), turn(execute("echo two"))))
    folder = job.root / "log"
    folder.mkdir()
    job.own(folder, job.root)
    job.change(AGENT_LOG_FILE=str(folder / "agent.log"))
    run = waiting(job)
    run.until("the log", lambda: (folder / "agent.log").stat().st_size > 0)
    if elsewhere:
        swap(folder, outside)
    else:
        (folder / "agent.log").rename(folder / "agent.log.1")
    go_on(job)
    assert run.wait().code == 0
    assert os.listdir(outside) == []
    assert elsewhere or "two" in (folder / "agent.log").read_text()


def test_without_landlock_the_gateway_goes_on_and_tells_that_the_loop_does_not(new_job):
    job = new_job(job_of(turn(execute("true"))))
    ended = job.start(under=[WITH_FILTER, *LANDLOCK, "--"]).wait()
    assert ended.code == 77 and "Landlock" in ended.message["reason"]
    assert [record["attributes"]["event.name"] for record in ended.records] == ["process_end"]
    assert ended.err == f"agent-init: not_permitted, exit code 77: {ended.message['reason']}\n", "said once"
