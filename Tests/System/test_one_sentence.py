"""One fault, one sentence: who starts the agent on a terminal reads what is wrong once, last, and with the code."""

import json
import os
import pathlib
import pty
import re
import select
import shutil
import socket
import time

import pytest

import job as jobs
from job import HANGS, KEY
from turns import SMALL_JOB

WITH_FILTER = str(pathlib.Path(__file__).with_name("with_filter.py"))


def on_terminal(job, under=()):
    """Runs `agent-init run` on a terminal: the exit code, and what a person reads there."""
    pid, terminal = pty.fork()
    if pid == 0:
        line = job.command("run", under=under)
        os.chdir("/")
        os.execve(line[0], line, {**job.settings, "NO_COLOR": "1"})
    text, deadline = b"", time.monotonic() + HANGS
    while True:
        assert time.monotonic() < deadline, f"it does not end: {text.decode()}"
        try:
            if select.select([terminal], [], [], 0.1)[0]:
                text += os.read(terminal, 65536)
        except OSError:  # the other side has closed
            break
    os.close(terminal)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code, text.decode().replace("\r\n", "\n")


def assert_told_once(job, code, words, under=()):
    """Its one line is on the terminal alone, and the termination message says the same; the log has it too, once."""
    got, text = on_terminal(job, under)
    message = json.loads(job.termination_log.read_text())
    assert got == message["exit_code"] == code, text
    assert text == f"agent-init: {message['outcome']}, exit code {code}: {message['reason']}\n"
    assert re.search(words, text), text
    ended = job.run(under=under)
    assert ended.err == text, "stderr says the same to who has the log as JSON"
    told = [record for record in ended.records if message["reason"] in record["body"]]
    assert len(told) <= 1 and all(record["attributes"]["event.name"] == "process_end" for record in told)
    return text, told


def test_a_missing_key(new_job):
    job = new_job(SMALL_JOB)
    (job.secrets / "anthropic-api-key").unlink()
    _, told = assert_told_once(job, 77, "there is no LLM key: the folder .*/secrets has no file anthropic-api-key or")
    assert len(told) == 1, "the gateway works, and so the log has it"


def test_a_key_that_is_in_the_environment_or_whose_file_is_empty(new_job):
    job = new_job(SMALL_JOB)
    (job.secrets / "anthropic-api-key").write_text("\n")
    assert_told_once(job, 77, "the file .*/secrets/anthropic-api-key is empty; put the key into it")
    (job.secrets / "anthropic-api-key").unlink()
    job.change(ANTHROPIC_API_KEY=KEY)
    text, _ = assert_told_once(job, 77, "ANTHROPIC_API_KEY is in the environment, .*; mount the Secret as files at ")
    assert KEY not in text


@pytest.mark.parametrize(("settings", "code", "words"), [
    ({"AGENT_MAX_STEPS": "many"}, 78, 'AGENT_MAX_STEPS is "many"; accepted: '),
    ({"JOB_ID": None}, 78, "JOB_ID is not set; accepted: "),
    ({"AGENT_GRACE_SECONDS": "x"}, 78, 'AGENT_GRACE_SECONDS is "x"; accepted: '),
    ({"AGENT_SECRETS_DIR": "/nowhere"}, 77, "mount a Secret at /nowhere"),
    ({"AGENT_CHECKPOINT_DIR": "/proc/x"}, 78, "AGENT_CHECKPOINT_DIR /proc/x lies inside the image's /proc"),
], ids=["a wrong setting", "a missing setting", "a wrong setting of PID 1", "no secrets folder", "a folder in the jail"])
def test_what_neither_the_gateway_nor_the_loop_can_work_with(new_job, settings, code, words):
    """Each finds it out by itself."""
    job = new_job(SMALL_JOB)
    job.change(**settings)
    assert_told_once(job, code, words)


def test_no_jail(new_job):
    job = new_job(SMALL_JOB)
    # landlock_create_ruleset(2) is answered with ENOSYS, as by a kernel without Landlock.
    text, told = assert_told_once(job, 77, "this kernel has no Landlock", under=(WITH_FILTER, "444=38", "--"))
    assert text.count("Landlock") == 2 and len(told) == 1, "its name, and what is needed of it"


def test_a_port_in_use(new_job):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        # The model never answers: what is shown of the job is no matter here.
        job = new_job({"turns": [], "after": {"fault": {"stall_ms": 60000}}}, AGENT_LISTEN=address)
        code, text = on_terminal(job)
    assert code == 78, text
    line = f'agent-init: configuration, exit code 78: AGENT_LISTEN: cannot listen on {address}: Address already in use; ' \
           'choose another address, or "off"\n'
    assert text.endswith(line) and text.count("agent-init: ") == 1 and text.count("cannot listen") == 1, text


def test_a_key_that_the_llm_refuses(new_job):
    body = json.dumps({"type": "error", "error": {"type": "permission_error", "message": "no right to this"}})
    job = new_job({"turns": [], "after": {"fault": {"status": 403, "body": body}}})
    code, text = on_terminal(job)
    last = text.splitlines()[-1]
    assert code == 77 and last.startswith("agent-init: not_permitted, exit code 77: the LLM does not allow the key what it is asked"), text
    assert text.count("no right to this") == text.count("agent-init: ") == 1 and KEY not in text, text


def test_a_program_that_is_missing(new_job, tmp_path_factory):
    job = new_job(SMALL_JOB)
    job.programs = job.root / "programs"
    shutil.copytree(jobs.programs(), job.programs)
    (job.programs / "agentd").unlink()
    code, text = on_terminal(job)
    assert code == 70 and text.count("\n") == 1 and text.startswith("agent-init: internal_error, exit code 70: "), text
    assert f"{job.programs}/agentd cannot be run (No such file or directory); copy agent-init, agentd and agent-jail" in text


def test_the_failure_of_the_start_before_is_not_told_again(new_job):
    job = new_job(SMALL_JOB)
    (job.secrets / "anthropic-api-key").rename(job.root / "kept")
    on_terminal(job)
    (job.root / "kept").rename(job.secrets / "anthropic-api-key")
    job.change(AGENT_BASE_URL="nonsense")
    code, text = on_terminal(job)
    assert code == 78 and "AGENT_BASE_URL" in text and "LLM key" not in text and text.count("\n") == 1, text
    assert "AGENT_BASE_URL" in json.loads(job.termination_log.read_text())["reason"]


def test_a_run_that_goes_well_says_so_in_its_last_line_and_nothing_of_its_own_before(new_job):
    job = new_job(SMALL_JOB)
    code, text = on_terminal(job)
    assert code == 0 and text.endswith("\nagent-init: completed, exit code 0: All is done.\n")
    assert text.count("agent-init: ") == 1, text
