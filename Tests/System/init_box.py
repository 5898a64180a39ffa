"""agent-init in a folder of its own with a scripted stand-in for agentd: what the tests of PID 1 share.

As root a run is in a pid namespace of its own; otherwise the tests that need one are skipped.
AGENT_BIN_DIR is the folder of the built binary (default .build/release).
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("AGENT_BIN_DIR", ROOT / ".build/release")).resolve()
NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc"]
AS_USER = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "--"]
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="a pid namespace needs root")

SERVE = [["serve"]]


def done(code, outcome="completed", reason="all done"):
    line = f"end\toutcome={outcome}\texit={code}\treason={reason}\tphase=VERIFY\tstep=9\tseq=41"
    return [["status", line], ["exit", code]]


class Box:
    """A folder with agent-init, a scripted agentd beside it, and what they leave behind."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="init-", dir="/tmp"))
        self.folder.chmod(0o777)
        shutil.copy(BIN / "agent-init", self.folder)
        shutil.copy(pathlib.Path(__file__).with_name("fake_agentd.py"), self.folder / "agentd")
        (self.folder / "agentd").chmod(0o755)
        self.message_path = self.folder / "termination-log"
        self.running = []

    def script(self, loop, gateway=(SERVE,)):
        (self.folder / "loop").write_text(json.dumps(loop))
        (self.folder / "gateway").write_text(json.dumps(list(gateway)))

    def start(self, *arguments, init=True, user=False, env=None, program=None, **options):
        environment = {"PATH": "/usr/bin:/bin", "FAKE": str(self.folder), "AGENT_GRACE_SECONDS": "3",
                       "AGENT_TERMINATION_LOG": str(self.message_path), "JOB_ID": "j", **(env or {})}
        line = (NAMESPACE if init else []) + (AS_USER if user else []) + [program or str(self.folder / "agent-init")]
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(line + list(arguments), env=environment, **{**streams, **options})
        self.running.append(process)
        return process

    def finish(self, process, timeout=30):
        out, err = process.communicate(timeout=timeout)
        return process.returncode, (out or b"").decode(), (err or b"").decode()

    def run(self, *arguments, **options):
        return self.finish(self.start(*(arguments or ("run",)), **options))

    def compile(self, name):
        """The program of `name`.c beside this file, in the box's folder."""
        program = self.folder / name
        subprocess.run(["cc", "-O1", "-o", program, pathlib.Path(__file__).with_name(name + ".c")], check=True)
        return str(program)

    def records(self, name):
        path = self.folder / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def wait_for(self, name, count=1):
        deadline = time.monotonic() + 20
        while len(self.records(name)) < count:
            assert time.monotonic() < deadline, f"{name} did not come"
            time.sleep(0.01)
        return self.records(name)

    def shipped(self, stream):
        return "".join(text for name, text in self.records("shipped") if name == stream)

    @property
    def message(self):
        return json.loads(self.message_path.read_bytes())

    def close(self):
        """Ends what a failed test has left running."""
        for process in self.running:
            if process.poll() is None:
                for child in pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                    os.kill(int(child), signal.SIGKILL)
                process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def pid_of_init(process):
    """The pid, as seen from here, of the agent-init that unshare has started."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if children:
            return int(children[0])
        time.sleep(0.01)
    raise AssertionError("unshare has no child")


def state(pid):
    """The state letter of a process, "" if there is none."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return ""


def until(condition, what, seconds=20):
    """Waits until `condition()` is true, and fails the test with `what` if it does not become so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.01)


init_or_not = pytest.mark.parametrize("init", [
    pytest.param(True, marks=needs_root, id="as PID 1"), pytest.param(False, id="as a subreaper")])
