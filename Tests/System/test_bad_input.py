"""Bad input: each a message that names the thing and what to do, the documented exit code, and nothing lost."""

import contextlib
import hashlib
import http.server
import os
import pathlib
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading

import pytest

from job import UID, free_port
from test_job import end_well
from turns import SMALL_JOB, call, complete, done, execute, job_of, plan, turn

WITH_FILTER = [sys.executable, str(pathlib.Path(__file__).resolve().parent / "with_filter.py")]
LANDLOCK_CREATE_RULESET, ENOSYS = 444, 38


def refuse(job, code, outcome, *words, **options):
    """Runs the job, which must end with that code and say these words to people and in the termination message."""
    ended = job.run(**options)
    assert ended.code == code, ended
    assert ended.message, f"no termination message: {ended.said}"
    assert (ended.message["exit_code"], ended.message["outcome"]) == (code, outcome)
    for word in words:
        assert word in ended.said, f"{word!r} is not in what it said: {ended.said}"
        assert word in ended.message["reason"], f"{word!r} is not in the reason: {ended.message['reason']}"
    # A trap or an uncaught error is no message.
    assert "Fatal error" not in ended.said and "Error raised" not in ended.said
    return ended


def digests(folder):
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


# MARK: Settings


@pytest.mark.parametrize(("settings", "words"), [
    ({"AGENT_TASK": None}, ["there is no task", "AGENT_TASK", "AGENT_TASK_FILE", "NATS_URL"]),
    ({"AGENT_TASK": ""}, ["there is no task"]),
    ({"AGENT_TASK_FILE": "/etc/hostname"}, ["AGENT_TASK and AGENT_TASK_FILE are both set"]),
    ({"AGENT_TASK": None, "AGENT_TASK_FILE": "/nonexistent/task"}, ["AGENT_TASK_FILE", "/nonexistent/task", "accepted"]),
    ({"AGENT_TASK": None, "AGENT_TASK_FILE": "/dev/null"}, ["AGENT_TASK_FILE", "accepted"]),
    ({"JOB_ID": None}, ["JOB_ID is not set", "accepted"]),
    ({"JOB_ID": ""}, ["JOB_ID", "accepted"]),
    ({"JOB_ID": "../x"}, ["JOB_ID", '"../x"', "accepted"]),
    ({"JOB_ID": "two words"}, ["JOB_ID", "accepted"]),
    ({"JOB_ID": "grün"}, ["JOB_ID", "accepted"]),
    ({"JOB_ID": "a.b"}, ["JOB_ID", "accepted"]),
    ({"JOB_ID": "a" * 129}, ["JOB_ID", "accepted"]),
    ({"WORKSPACE_PATH": "here"}, ["WORKSPACE_PATH", "an absolute path"]),
    ({"AGENT_MAX_STEP": "5"}, ["AGENT_MAX_STEP ", "AGENT_MAX_STEPS?"]),
    ({"AGENT_BASEURL": "http://x"}, ["AGENT_BASEURL", "AGENT_BASE_URL?"]),
    ({"AGENT_MAX_STEPS": "many"}, ["AGENT_MAX_STEPS", '"many"', "a whole number"]),
    ({"AGENT_PROVIDER": "claude"}, ["AGENT_PROVIDER", "anthropic, openai"]),
    ({"AGENT_BASE_URL": "localhost:8000"}, ["AGENT_BASE_URL", "http://"]),
    ({"AGENT_LISTEN": "8080"}, ["AGENT_LISTEN", "host:port"]),
    ({"AGENT_MAX_COST_USD": "1"}, ["AGENT_MAX_COST_USD", "AGENT_PRICE_INPUT_PER_MTOK"]),
    ({"AGENT_CONFIG": "/nonexistent/config"}, ["AGENT_CONFIG", "/nonexistent/config"]),
    ({"AGENT_GRACE_SECONDS": "soon"}, ["AGENT_GRACE_SECONDS", '"soon"', "accepted"]),
    ({"AGENT_WATCHDOG_SECONDS": "1"}, ["AGENT_WATCHDOG_SECONDS", "accepted"]),
    ({"AGENT_LOG_FORMAT": "xml"}, ["AGENT_LOG_FORMAT", "json, text, auto"]),
], ids=lambda value: "-".join(f"{n}={(v or '')[:12]}" for n, v in value.items()) if isinstance(value, dict) else "")
def test_a_wrong_setting_is_named_with_what_is_accepted(new_job, settings, words):
    job = new_job(AGENT_BASE_URL="http://127.0.0.1:9")
    # An empty value is one to be tried too: Kubernetes sets it for a missing key of a ConfigMap.
    job.settings.update({name: value for name, value in settings.items() if value is not None})
    job.change(**{name: None for name, value in settings.items() if value is None})
    refuse(job, 78, "configuration", *words)
    assert not job.ask("SELECT 1 FROM event WHERE kind = 'task_received'"), "nothing was begun"


def test_settings_that_are_wrong_in_the_file_are_named_with_the_file(new_job):
    job = new_job(AGENT_BASE_URL="http://127.0.0.1:9")
    path = job.root / "config.json"
    for text, words in [('{"AGENT_MAX_STEP": 5}', ["AGENT_MAX_STEP", "AGENT_MAX_STEPS?"]), ("[]", ["not an object"]),
                        ("{", ["AGENT_CONFIG"]), ('{"AGENT_MAX_STEPS": [1]}', ["AGENT_MAX_STEPS", "[1]"])]:
        path.write_text(text)
        job.change(AGENT_CONFIG=str(path))
        refuse(job, 78, "configuration", str(path), *words)


@pytest.mark.parametrize("arguments", [["frobnicate"], ["run", "--quickly"], ["--quickly"], ["status", "--quickly"],
                                       ["run", "--"]])
def test_a_wrong_command_line_is_64(new_job, arguments):
    job = new_job()
    done = job.agent(*arguments)
    assert done.returncode == 64 and arguments[-1] in done.stderr


# MARK: Folders


@pytest.mark.parametrize(("setting", "path", "word"), [
    ("AGENT_CHECKPOINT_DIR", "workspace/project/checkpoints", "AGENT_PROJECT_DIR"),
    ("AGENT_CHECKPOINT_DIR", "workspace/home/x", "AGENT_HOME"),
    ("AGENT_SECRETS_DIR", "workspace/project", "AGENT_PROJECT_DIR"),
    ("AGENT_PROJECT_DIR", "workspace/checkpoints/project", "AGENT_CHECKPOINT_DIR"),
    ("AGENT_LOG_FILE", "workspace/project/agent.log", "AGENT_PROJECT_DIR"),
])
def test_what_commands_could_reach_is_refused(new_job, setting, path, word):
    job = new_job(AGENT_BASE_URL="http://127.0.0.1:9")
    job.change(**{setting: str(job.root / path)})
    refuse(job, 78, "configuration", setting, word, str(job.root / path))
    assert not job.database.exists()


def test_a_link_that_leads_into_the_project_tree_is_refused(new_job):
    job = new_job(AGENT_BASE_URL="http://127.0.0.1:9")
    (job.project / "inside").mkdir(parents=True)
    (job.root / "outside").symlink_to(job.project / "inside")
    job.change(AGENT_CHECKPOINT_DIR=str(job.root / "outside"))
    refuse(job, 78, "configuration", "AGENT_CHECKPOINT_DIR", "AGENT_PROJECT_DIR")


def test_a_workspace_that_cannot_be_written(new_job):
    job = new_job(AGENT_BASE_URL="http://127.0.0.1:9")
    job.workspace.chmod(0o555)
    ended = refuse(job, 78, "configuration", str(job.workspace), "Permission denied", f"UID {UID}")
    assert "volume" in ended.said or "fsGroup" in ended.said


def test_a_workspace_that_is_a_file(new_job):
    job = new_job(AGENT_BASE_URL="http://127.0.0.1:9")
    job.workspace.rmdir()
    job.workspace.touch()
    refuse(job, 78, "configuration", "WORKSPACE_PATH", str(job.workspace))


# MARK: Secrets and the LLM


def finishes_later(job):
    """The same job, once it is set right, runs to its end: nothing was lost by the refusal."""
    journal = end_well(job)
    assert len(journal.of("task_received")) == 1
    return journal


def test_a_missing_secrets_folder(new_job):
    job = new_job(SMALL_JOB)
    right = job.settings["AGENT_SECRETS_DIR"]
    job.change(AGENT_SECRETS_DIR=str(job.root / "nowhere"))
    refuse(job, 77, "not_permitted", "AGENT_SECRETS_DIR", str(job.root / "nowhere"), "Secret")
    job.change(AGENT_SECRETS_DIR=right)
    finishes_later(job)


def test_a_secrets_folder_without_a_key(new_job):
    job = new_job(SMALL_JOB)
    (job.secrets / "anthropic-api-key").unlink()
    refuse(job, 77, "not_permitted", "no LLM key", str(job.secrets), "anthropic-api-key", "openai-api-key")
    job.put_secret("anthropic-api-key", "k")
    finishes_later(job)


def test_a_key_file_that_cannot_be_read(new_job):
    job = new_job(AGENT_BASE_URL="http://127.0.0.1:9")
    (job.secrets / "anthropic-api-key").chmod(0)
    refuse(job, 77, "not_permitted", "anthropic-api-key", "Permission denied")


def test_two_keys_and_no_word_which(new_job):
    job = new_job(SMALL_JOB)
    job.put_secret("openai-api-key", "k")
    refuse(job, 78, "configuration", "AGENT_PROVIDER", str(job.secrets))
    job.change(AGENT_PROVIDER="anthropic")
    finishes_later(job)


@pytest.mark.parametrize("api", ["anthropic", "openai"])
def test_a_wrong_key(new_job, api):
    job = new_job({**SMALL_JOB, "require_key": "the-right-key"}, api=api)
    ended = refuse(job, 77, "not_permitted", "refuses the key", str(job.secrets))
    assert len(job.model.log()) == 1, "a wrong key is not tried again"
    job.put_secret(f"{api}-api-key", "the-right-key\n")
    assert job.run().code == 0, ended
    job.journal().check(model=job.model.log())


def test_an_llm_that_cannot_be_reached(new_job):
    job = new_job(SMALL_JOB)
    right = job.settings["AGENT_BASE_URL"]
    job.change(AGENT_BASE_URL=f"http://127.0.0.1:{free_port()}", AGENT_LLM_OUTAGE_SECONDS="1")
    refuse(job, 75, "try_again", "AGENT_LLM_OUTAGE_SECONDS", "127.0.0.1")
    assert job.status()["status"] == "backoff"
    before = job.journal()
    job.change(AGENT_BASE_URL=right, AGENT_LLM_OUTAGE_SECONDS=None)
    finishes_later(job).check(before=before)


def test_an_llm_whose_name_does_not_resolve(new_job):
    job = new_job(AGENT_BASE_URL="http://llm.invalid", AGENT_LLM_OUTAGE_SECONDS="0")
    refuse(job, 75, "try_again", "llm.invalid")


def test_an_address_that_is_no_llm(new_job):
    job = new_job(SMALL_JOB)
    right = job.settings["AGENT_BASE_URL"]
    with nobody() as url:
        job.change(AGENT_BASE_URL=url)
        refuse(job, 78, "configuration", "AGENT_BASE_URL", "404")
    job.change(AGENT_BASE_URL=right)
    finishes_later(job)


@contextlib.contextmanager
def nobody():
    """The URL of a web server that knows no API."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            self.send_error(404)

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_model_that_the_provider_does_not_know(new_job):
    job = new_job({**SMALL_JOB, "require_model": "known"}, AGENT_MODEL="unknown")
    refuse(job, 78, "configuration", "AGENT_MODEL", "unknown", "404")
    job.change(AGENT_MODEL="known")
    assert job.run().code == 0
    job.journal().check()


# MARK: The checkpoint


def with_a_checkpoint(new_job):
    """A job that was killed after some steps."""
    once = "[ -e stays ] || { echo x > stays; sleep 600; }"
    job = new_job(job_of(turn(execute("seq 1 20000")), turn(execute(once, timeout_seconds=600)), deliverables=["stays"]))
    job.start().until("some steps", lambda: job.file("stays") == "x\n")
    job.kill()
    return job


def overwrite(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def folded(job):
    """Folds the WAL into the database, so that damage to the file is not hidden by it."""
    with contextlib.closing(sqlite3.connect(job.database)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for suffix in ("-wal", "-shm"):
        pathlib.Path(f"{job.database}{suffix}").unlink(missing_ok=True)


DAMAGES = {
    "no database at all": lambda path: path.write_bytes(b"This is not a database.\n" * 500),
    "an empty file": lambda path: path.write_bytes(b""),
    "cut in half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "a page overwritten": lambda path: overwrite(path, path.stat().st_size // 8192 // 2 * 8192, b"\xff" * 8192),
    "its header overwritten": lambda path: overwrite(path, 0, b"\0" * 100),
    "tables of another program": lambda path: other_tables(path),
    "a newer version": lambda path: change(path, "UPDATE meta SET schema_version = 99"),
    "a gap in the journal": lambda path: change(path, "DELETE FROM event WHERE seq = 3"),
    "an event of an unknown kind": lambda path: change(path, "UPDATE event SET kind = 'dreamt' WHERE seq = 4"),
    "a body that is no JSON": lambda path: change(path, "UPDATE event SET body = '{' WHERE seq = 4"),
    "its head gone": lambda path: change(path, "DELETE FROM head"),
}


def change(path, statement):
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(statement)
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def other_tables(path):
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE shopping (item TEXT)")
    os.chown(path, UID, -1)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_refused_and_left_as_it_is(new_job, damage):
    job = with_a_checkpoint(new_job)
    folded(job)
    DAMAGES[damage](job.database)
    for path in job.checkpoints.glob(f"{job.database.name}*"):
        job.own(path)
    before = digests(job.checkpoints)[str(job.database)]
    asked = len(job.model.log())
    refuse(job, 65, "checkpoint_unusable", str(job.database))
    assert digests(job.checkpoints)[str(job.database)] == before, "the damaged file was changed"
    wal = pathlib.Path(f"{job.database}-wal")
    assert not wal.exists() or wal.stat().st_size == 0, "the damaged checkpoint was written to"
    assert len(job.model.log()) == asked, "it went on in spite of it"
    assert job.file("stays") == "x\n"
    # Not healed by a second try either.
    refuse(job, 65, "checkpoint_unusable", str(job.database))


def test_a_checkpoint_with_a_damaged_wal_keeps_what_was_committed_before(new_job):
    # SQLite ends a WAL at the first frame whose checksum is wrong: a torn tail is what a power loss leaves.
    job = with_a_checkpoint(new_job)
    wal = pathlib.Path(f"{job.database}-wal")
    assert wal.stat().st_size > 8192
    os.truncate(wal, wal.stat().st_size - 100)
    ended = job.run()
    assert ended.code == 0, ended
    job.journal().check()


def test_a_checkpoint_that_is_gone_while_its_wal_is_there(new_job):
    job = with_a_checkpoint(new_job)
    job.database.rename(job.root / "moved.db")
    wal = pathlib.Path(f"{job.database}-wal")
    before = wal.read_bytes()
    refuse(job, 65, "checkpoint_unusable", str(job.database), "-wal")
    assert wal.read_bytes() == before and not job.database.exists()
    # Put back, it goes on.
    (job.root / "moved.db").rename(job.database)
    end_well(job)


def test_another_jobs_checkpoint(new_job):
    job = with_a_checkpoint(new_job)
    folded(job)
    other = job.checkpoints / "job_job-2.db"
    shutil.copy(job.database, other)
    job.own(other)
    before = other.read_bytes()
    job.change(JOB_ID="job-2")
    refuse(job, 65, "checkpoint_unusable", str(other), "job-1", "job-2")
    assert other.read_bytes() == before
    job.change(JOB_ID="job-1")
    end_well(job)


def test_a_checkpoint_that_cannot_be_read(new_job):
    job = with_a_checkpoint(new_job)
    for path in job.checkpoints.glob(f"{job.database.name}*"):
        path.chmod(0)
    refuse(job, 78, "configuration", str(job.database), f"UID {UID}")
    for path in job.checkpoints.glob(f"{job.database.name}*"):
        path.chmod(0o600)
    end_well(job)


# MARK: The machine


def test_no_landlock(new_job):
    job = new_job(SMALL_JOB)
    refuse(job, 77, "not_permitted", "Landlock",
           under=[*WITH_FILTER, f"{LANDLOCK_CREATE_RULESET}={ENOSYS}", "--"])
    assert job.model.log() == [], "nothing was spent"
    assert not job.file("result")
    end_well(job)


def test_no_landlock_any_more_in_the_middle_of_a_job(new_job):
    # The pod is rescheduled to an older node.
    job = with_a_checkpoint(new_job)
    before = job.journal()
    refuse(job, 77, "not_permitted", "Landlock",
           under=[*WITH_FILTER, f"{LANDLOCK_CREATE_RULESET}={ENOSYS}", "--"])
    journal = job.journal()
    journal.check(before=before)
    end_well(job)


def test_the_port_is_in_use(new_job):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        job = new_job(job_of(turn(execute("true")), turn(execute("true"), delay_ms=1000)),
                      AGENT_LISTEN=f"127.0.0.1:{port}")
        refuse(job, 78, "configuration", "AGENT_LISTEN", str(port))
    end_well(job)


@pytest.mark.parametrize("way", ["closed", "a pipe nobody reads", "a full pipe", "/dev/full"])
def test_a_standard_output_that_takes_nothing_stops_no_job(new_job, way):
    job = new_job(SMALL_JOB)
    options = {}
    with contextlib.ExitStack() as open_files:
        if way == "closed":
            job.command = closing(job.command)
        elif way == "/dev/full":
            options["stdout"] = options["stderr"] = open_files.enter_context(open("/dev/full", "wb"))
        else:
            reader, writer = os.pipe()
            if way == "a full pipe":
                open_files.callback(os.close, reader)
                os.set_blocking(writer, False)
                with contextlib.suppress(BlockingIOError):
                    while True:
                        os.write(writer, b"x" * 4096)
                os.set_blocking(writer, True)
            else:
                os.close(reader)
            open_files.callback(os.close, writer)
            options["stdout"] = options["stderr"] = writer
        ended = job.run(**options)
    assert (ended.code, ended.message["outcome"]) == (0, "completed")
    assert job.file("result") == "42\n" and job.refusals() == []
    job.journal().check(model=job.model.log())


def closing(command):
    """The command with its stdin, stdout and stderr closed."""
    return lambda *arguments, **options: ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command(*arguments, **options)]


def test_a_termination_log_that_cannot_be_written_stops_no_job(new_job):
    job = new_job(SMALL_JOB, AGENT_TERMINATION_LOG="/nonexistent/folder/log")
    ended = job.start().wait()
    assert ended.code == 0 and "/nonexistent/folder/log" in ended.err


def test_a_tree_without_agentd_beside_agent_init(new_job, tmp_path):
    job = new_job()
    alone = job.root / "alone"
    alone.mkdir()
    shutil.copy(job.command()[-1], alone)
    for arguments in (["run"], ["status"]):
        done = subprocess.run([alone / "agent-init", *arguments], env=job.settings, capture_output=True, text=True,
                              timeout=20)
        assert done.returncode == 70 and "agentd" in done.stderr


def test_a_task_with_unusual_characters_arrives_as_it_is(new_job):
    task = "Zeile 1\n\tZeile 2 — „quoted“ \\ \" 😄 \u2028 end"
    job = new_job({"turns": [plan("Work"), turn(done("t1"), call("write_file", path="out", content=task)),
                             complete("out")]}, AGENT_TASK=task)
    end_well(job)
    assert task in job.told(0) and job.file("out") == task
