"""Jobs whose disk fails at one chosen call (fault_points.c) and that go on afterwards.

As a program it takes trials from standard input, as kill_trials.py does: each a point and what happens there, an errno or
"torn".
"""

import errno
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import fault_points
import process_tree
from job import HANGS
from kill_trials import Trial, script
from model_server_process import ModelServerProcess

PROGRAM = pathlib.Path(__file__)

SAID = {
    "disk_full": r"agent-init: disk_full \(exit 75\): the disk of the checkpoint \S+ is full \(.*MiB are free\)",
    "storage": r"agent-init: storage \(exit 75\): .*(check the volume|cannot be made).* start again",
}


class DiskTrial(Trial):
    def run_with(self, point, what):
        """Runs it with that fault to its end. Returns its exit code and the last event that it told PID 1 to be committed."""
        told = self.folder / "told"
        told.touch()
        told.chmod(0o666)
        with open(told, "ab") as status, open(self.folder / "err", "ab") as errors:
            process = subprocess.Popen(
                self.agentd("loop", "--status-fd", str(status.fileno())), pass_fds=[status.fileno()],
                env=self.settings | fault_points.settings(at=point, what=what), cwd="/", stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=errors)
            code = process.wait(timeout=HANGS)
        self.kill_all()
        return code, max((int(seq) for seq in re.findall(r"\bseq=(\d+)", told.read_text())), default=0)


def attempt(trial, point, what):
    """A run with the fault, and one without it to the end. Returns what the first came to."""
    number = str(getattr(errno, what, what))
    code, committed = trial.run_with(point, number)
    said = trial.said()
    end = next((word for word, words in SAID.items() if re.search(words, said)), "")
    assert code in (0, 75), f"exit {code}: {said}"
    assert code == 0 or end, f"no reason is given: {said}"
    before = trial.check()
    assert committed <= (before.head["seq"] if before else 0), f"event {committed} was committed and is gone"
    if end == "disk_full" and before and before.events and not point.endswith("+"):
        # Whatever had no room, there was room for that in the reserve; a job whose last event it was is over.
        assert before.head["status"] in ("needs_input", "completed"), before.head
    code = trial.run()
    assert code == 0, f"exit {code} when the disk was well again: {trial.said()}"
    trial.check_end(trial.check(before, ended=True))
    return end or "went on"


def work():
    process_tree.adopt_orphans()
    with tempfile.TemporaryDirectory() as folder, ModelServerProcess(script(), folder) as model:
        for line in sys.stdin:
            point, what = json.loads(line)
            began, verdict = time.monotonic(), {"point": point, "what": what, "violation": None, "end": None}
            try:
                with DiskTrial(model) as trial:
                    verdict["end"] = attempt(trial, point, what)
            except AssertionError as violation:
                verdict["violation"] = str(violation)[:4000]
            verdict["seconds"] = time.monotonic() - began
            print(json.dumps(verdict), flush=True)


if __name__ == "__main__":
    work()
