"""Whole jobs of the built programs outside of a container, as an ordinary user (AGENT_BIN_DIR, default .build/release).

As root the job runs as UID 1000, in folders of its own; nothing of ours is in its environment.
"""

import atexit
import contextlib
import functools
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from dataclasses import dataclass

import process_tree
from journal import Journal
from model_server_process import ModelServerProcess

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
UID = os.getuid() or 1000
KEY = "test-key-of-the-system-tests"
API_KEYS = {"anthropic": "anthropic-api-key", "openai": "openai-api-key"}

# No test waits for a time to pass; these only end a test that hangs.
HANGS = 90
STEP_HANGS = 45


@functools.cache
def programs():
    """The three programs where UID 1000 can reach them: a build folder may lie in somebody's home."""
    built = pathlib.Path(os.environ.get("AGENT_BIN_DIR") or REPOSITORY / ".build" / "release").resolve()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="agent-init-programs-", dir="/var/tmp"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    for name in ("agent-init", "agentd", "agent-jail"):
        shutil.copy(built / name, folder)
    return folder


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def eventually(what, condition, timeout=STEP_HANGS):
    """Waits until the condition gives something true, and returns that."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.01)
    return value


@contextlib.contextmanager
def as_user():
    """As the jobs' user: a -wal or -shm that root makes is root's for a moment, and keeps the job from opening it."""
    if os.getuid() != 0:
        yield
        return
    os.seteuid(UID)
    try:
        yield
    finally:
        os.seteuid(0)


@dataclass(repr=False)
class Ended:
    """One run of `agent-init` that has ended."""

    code: int
    out: str
    err: str
    # The termination message, None if the file is empty.
    message: dict

    @property
    def records(self):
        """The log records on stdout."""
        # Not splitlines(): it also splits at U+2028, which JSON leaves as it is.
        return [json.loads(line) for line in self.out.split("\n") if line]

    @property
    def said(self):
        """Everything that a person could read of it."""
        return f"{self.out}\n{self.err}"

    def __repr__(self):
        """Short, for a failed assertion; the whole output is shown with it."""
        return f"exit {self.code}, {self.message}, stderr: {self.err[-2000:]}"


class Job:
    """The folders of a job, which outlive its runs as a pod's volumes do, and its model server.

    `script` None: there is no model server. `base`: where the workspace lies.
    """

    spared = set()
    """Processes below this one that are no job's: servers."""

    def __init__(self, script=None, name="job-1", api="anthropic", base="/var/tmp", **settings):
        process_tree.adopt_orphans()
        # What runs already is not ours to kill: a server of the test, or a neighbour's. Only that: the number of a process
        # that has ended may be that of one of ours next.
        Job.spared = {pid for pid, _ in process_tree.descendants(os.getpid())}
        self.name = name
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="agent-init-job-", dir=base))
        self.root.chmod(0o755)
        self.workspace, self.secrets = self.root / "workspace", self.root / "secrets"
        self.project, self.checkpoints = self.workspace / "project", self.workspace / "checkpoints"
        self.database = self.checkpoints / f"job_{name}.db"
        self.outputs = self.checkpoints / f"output_{name}"
        self.termination_log = self.root / "termination-log"
        for folder in (self.workspace, self.secrets):
            folder.mkdir(mode=0o700)
        self.termination_log.touch()
        self.put_secret(API_KEYS[api], KEY)
        self.own(self.root, self.workspace, self.secrets, self.termination_log)
        self.settings = {
            "JOB_ID": name, "WORKSPACE_PATH": str(self.workspace), "AGENT_TASK": "Do what the script says.",
            "AGENT_SECRETS_DIR": str(self.secrets), "AGENT_LISTEN": "off",
            "AGENT_TERMINATION_LOG": str(self.termination_log),
            # Every bash that a command is, or starts, fails at the first thing in it that fails (bash(1), SHELLOPTS): else
            # the last command alone would decide.
            "AGENT_COMMAND_ENV": "SHELLOPTS", "SHELLOPTS": "errexit:nounset:pipefail",
        }
        self.script, self.model = script, None
        self.change(**settings)
        self.runs = []
        # The folder of the three programs; None: those that were built.
        self.programs = None
        self.resources = contextlib.ExitStack()

    def __enter__(self):
        if self.script is not None:
            self.serve(self.script)
        return self

    def __exit__(self, *exception):
        self.kill()
        self.resources.close()
        for number, run in enumerate(self.runs):
            # pytest shows it only if the test has failed.
            print(f"--- run {number}, exit {run.process.returncode}\n{run.read('out')[-8000:]}\n{run.read('err')[-8000:]}")
        if self.model:
            for refusal in self.refusals():
                print(f"--- the model server refused: {refusal}")
        shutil.rmtree(self.root, ignore_errors=True)

    def serve(self, script):
        """Starts a model server with the script in the place of the former one."""
        folder = self.root / f"model-{len(list(self.root.glob('model-*')))}"
        folder.mkdir()
        self.model = self.resources.enter_context(ModelServerProcess(script, folder))
        Job.spared.add(self.model.process.pid)
        self.settings["AGENT_BASE_URL"] = self.model.url

    # MARK: Folders

    def own(self, *paths):
        """Makes them the job's user's."""
        for path in paths:
            os.chown(path, UID, UID if os.getuid() == 0 else -1)

    def put_secret(self, name, text):
        path = self.secrets / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        self.own(path)

    def file(self, path):
        """The text of a file of the project tree, empty if it is not there."""
        with contextlib.suppress(FileNotFoundError):
            return (self.project / path).read_text(encoding="utf-8")
        return ""

    # MARK: Runs

    def change(self, **settings):
        """Changes settings for the runs to come; None takes one away."""
        for name, value in settings.items():
            self.settings[name] = value
        self.settings = {name: value for name, value in self.settings.items() if value is not None}

    def command(self, *arguments, under=()):
        line = [str((self.programs or programs()) / "agent-init"), *arguments]
        if os.getuid() == 0:
            line = ["/usr/bin/setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", *line]
        return [*under, *line]

    def start(self, under=(), **options):
        """Starts `agent-init run`. `under`: a command line to be executed before it."""
        run = Run(self, self.root / f"run-{len(self.runs)}", self.command("run", under=under), options)
        self.runs.append(run)
        return run

    def run(self, **options):
        """Starts it and waits for its end; nothing of it may be left then."""
        ended = self.start(**options).wait()
        assert not self.alive(), f"left behind: {self.alive()}"
        return ended

    def alive(self):
        """The processes of the job, parents first."""
        return process_tree.descendants(os.getpid(), self.spared)

    def kill(self):
        """SIGKILL to every process of the job."""
        killed = process_tree.kill_all(self.spared)
        ours = {run.process.pid for run in self.runs}
        for pid, _ in killed:
            # Orphans became our children; those that Popen knows are its own to reap.
            if pid not in ours:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)
        for run in self.runs:
            run.process.wait(timeout=STEP_HANGS)
        return killed

    def pid(self, role):
        """The pid of `agentd ROLE` (loop, gateway), None if it does not run."""
        for pid, name in self.alive():
            # One that is only being started, or has ended, has no words.
            with contextlib.suppress(OSError, IndexError):
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if name == "agentd" and words[1] == role.encode():
                    return pid
        return None

    # MARK: Looking at it

    def agent(self, *arguments):
        """Runs another subcommand with the job's settings to its end."""
        return subprocess.run(self.command(*arguments), env=self.settings, cwd="/", stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=STEP_HANGS)

    def status(self):
        """`agent-init status --json`."""
        shown = self.agent("status", "--json")
        assert shown.returncode == 0, shown.stderr
        return json.loads(shown.stdout)

    def journal(self):
        """The checkpoint of a job that does not run."""
        assert not self.alive(), "read only from a job that has ended: use `ask`"
        return Journal(self.database)

    def ask(self, query, *values):
        """One row of the checkpoint of a job that may be running; None if there is none, or no database yet."""
        if not self.database.exists():
            return None
        with as_user(), contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=5)) as database:
            try:
                return database.execute(query, values).fetchone()
            except sqlite3.OperationalError:
                # The file is being replaced or recovered; the next look finds it.
                return None

    def refusals(self):
        """What the model server refused, script errors included; not its scripted faults."""
        return [request["error"] for request in self.model.log() if request["status"] != 200 and "fault" not in request]

    def told(self, position):
        """What the model was told at a position: the text after its last answer, of the first request of it."""
        return next(request["last_text"] for request in self.model.log() if request.get("position") == position)


class Run:
    """One start of `agent-init run`."""

    def __init__(self, job, base, command, options):
        self.job, self.base = job, base
        given = {"cwd": "/", "stdin": subprocess.DEVNULL, **options}
        with open(f"{base}.out", "wb") as out, open(f"{base}.err", "wb") as err:
            self.process = subprocess.Popen(command, env=job.settings, **{"stdout": out, "stderr": err, **given})

    def read(self, kind):
        return pathlib.Path(f"{self.base}.{kind}").read_text(encoding="utf-8", errors="replace")

    def wait(self, timeout=HANGS):
        """Waits for its end."""
        code = self.process.wait(timeout=timeout)
        text = self.job.termination_log.read_text(encoding="utf-8")
        return Ended(code, self.read("out"), self.read("err"), json.loads(text) if text else None)

    def until(self, what, condition, timeout=STEP_HANGS):
        """`eventually`, that fails at once when the run has ended."""
        def look():
            value = condition()
            assert value or self.process.poll() is None, \
                f"ended with {self.process.returncode} before: {what}\n{self.read('out')[-3000:]}{self.read('err')[-3000:]}"
            return value

        return eventually(what, look, timeout)

    def stop(self):
        """SIGTERM, as the kubelet sends it."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()


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
