"""Bad input: each a message that names the thing and what to do, the documented exit code, and nothing lost."""

import contextlib
import http.server
import threading

import pytest

from job import UID, free_port
from job_ends import end_well, refuse
from turns import SMALL_JOB, call, complete, done, plan, todo, turn

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


# MARK: What the model asks for

def test_what_does_not_fit_on_a_command_line_is_refused_and_the_job_goes_on(new_job):
    """The kernel takes no word of more than 128 KiB (E2BIG), and ends one at its first NUL byte."""
    long = "x" * 140_000
    words = [call("search", pattern=long), call("search", pattern="a\0b"), call("search", pattern="a", path=long),
             call("list_files", path="a\0b"), call("todo_stage", todos=[todo("Long", long)]),
             call("todo_stage", todos=[todo("Cut", "true \0 && false")])]
    job = new_job({"turns": [turn(*words), plan("Work", expect=["100,000 bytes or has a NUL byte"] * 6),
                             turn(done("t1")), complete()]})
    journal = end_well(job)
    refused = [event["call"] for event in journal.of("call_finished") if event["outcome"] == "refused"]
    assert refused == [f"1.{number}" for number in range(len(words))]
