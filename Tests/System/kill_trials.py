"""Jobs that are killed at chosen points and go on: what must hold of them, whatever the points were.

As a program it takes trials from standard input, one a line, and prints what came of each, so that several can work
side by side: each has a model server of its own, and kills nobody's processes but its own.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter

import fault_points
import process_tree
from job import API_KEYS, HANGS, KEY, UID, programs
from journal import Journal
from model_server_process import ModelServerProcess
from turns import call, complete, done, execute, plan, turn

HERE = pathlib.Path(__file__)

MARKS = {"2.1": "a", "2.2": "b", "3.0": "c", "3.1": "d", "3.2": "e"}
"""The effect of each call that is not to be repeated: a line of `effects` that nothing else writes."""
BACKGROUND = "f"
"""The effect of the command in the background, whose call says only that it was started."""


def script():
    """Both phases, calls side by side, calls that may be repeated and calls that may not, a command in the background,
    a model that once has no time, and a conversation that then has filled the window and is compacted."""
    return {"turns": [
        plan({"title": "Work", "acceptance": "seen", "check": "test -s ledger"}, thinking="First a plan."),
        turn(call("write_file", path="ledger", content="END\n"), execute("echo a >> effects"),
             execute("echo b >> effects"), call("read_file", path="ledger")),
        turn(execute("echo c >> effects"), call("edit_file", path="ledger", old="END\n", new="d\nEND\n"),
             execute("seq 1 3000; echo e >> effects"), execute("echo f >> effects; sleep 600", background=True)),
        turn(call("search", pattern="END", path="."), fault={"status": 529}, usage={"input": 90000, "output": 50}),
        turn(done("t1")),
        complete("effects"),
    ]}


class Trial:
    """One job in folders of its own, and its runs."""

    def __init__(self, model):
        self.model = model
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="agent-init-trial-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        workspace, secrets = self.folder / "workspace", self.folder / "secrets"
        for path in (workspace, secrets):
            path.mkdir(mode=0o700)
        key = secrets / API_KEYS["anthropic"]
        key.write_text(KEY, encoding="ascii")
        key.chmod(0o600)
        if os.getuid() == 0:
            for path in (self.folder, workspace, secrets, key):
                os.chown(path, UID, UID)
        self.project = workspace / "project"
        self.database = workspace / "checkpoints/job_trial.db"
        self.settings = {
            "JOB_ID": "trial", "WORKSPACE_PATH": str(workspace), "AGENT_SECRETS_DIR": str(secrets),
            "AGENT_TASK": "Do what the script says.", "AGENT_BASE_URL": f"{model.url}/{self.folder.name}",
            "AGENT_MAX_TOKENS": "10000000", "AGENT_CONTEXT_TOKENS": "100000",
            "AGENT_ACCEPTANCE": "test $(wc -l < ledger) -le 2",
        }

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.kill_all()
        shutil.rmtree(self.folder, ignore_errors=True)

    def agentd(self, *words):
        command = [str(programs() / "agentd"), *words]
        if os.getuid() == 0:
            command = ["/usr/bin/setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", *command]
        return command

    def start(self, **fault):
        """`agentd loop`, without PID 1 and gateway: what is tried is the owner of the checkpoint."""
        return subprocess.Popen(
            self.agentd("loop"), env=self.settings | (fault_points.settings(**fault) if fault else {}), cwd="/",
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(self.folder / "err", "ab"))

    def run(self, **fault):
        """Runs it to its end, ends what it has left behind, and returns its exit code; a signal is negative."""
        process = self.start(**fault)
        code = process.wait(timeout=HANGS)
        self.kill_all()
        return code

    def kill_all(self):
        """What a killed loop leaves would end by itself; the node's death does not wait for it."""
        process_tree.kill_all(without={self.model.process.pid})
        while True:
            try:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    return
            except ChildProcessError:
                return

    def said(self):
        return (self.folder / "err").read_text(encoding="utf-8", errors="replace")

    def requests(self):
        """The model server's log of this job."""
        return [request for request in self.model.log() if request["path"].startswith(f"/{self.folder.name}/")]

    def journal(self):
        return Journal(self.database)

    def check(self, before=None, ended=False):
        """Raises AssertionError unless all holds. Returns the journal, None if there is none yet."""
        if not self.database.exists():
            assert before is None, "the checkpoint is gone"
            return None
        journal, requests = self.journal(), self.requests()
        refused = [request["error"] for request in requests if request["status"] != 200 and "fault" not in request]
        assert not refused, f"the model server refused: {refused}"
        journal.check(before=before, model=requests)
        self.check_effects(journal)
        if ended:
            assert journal.head["status"] == "completed", journal.head
            assert journal.phases() == ["STRATEGIC", "TACTICAL", "STRATEGIC", "VERIFY"], "a boundary is there twice"
            for kind in ("task_received", "verified", "compacted"):
                assert len(journal.of(kind)) == 1, f"{kind} is there {len(journal.of(kind))} times"
            assert [row["status"] for row in journal.todos] == ["done"]
            audit = subprocess.run(self.agentd("verify"), env=self.settings, cwd="/", capture_output=True, text=True)
            assert audit.returncode == 0, audit.stdout + audit.stderr
        return journal

    def check_end(self, journal):
        """The end is the end: another start finds the job done, asks nobody and does nothing."""
        asked, code = len(self.requests()), self.run()
        assert code == 0, f"exit {code} when it was started again: {self.said()}"
        after = self.check(journal, ended=True)
        added = [event.kind for event in after.events[len(journal.events):]]
        assert set(added) <= {"acquired"} and len(self.requests()) == asked, f"after the end came {added}"

    def check_effects(self, journal):
        """Each effect at most once; exactly once if its call is done; never if it was not started."""
        def lines(name):
            path = self.project / name
            return path.read_text(encoding="utf-8").split() if path.exists() else []

        marks = Counter(lines("effects") + [line for line in lines("ledger") if line != "END"])
        states = {row["call_id"]: row["state"] for row in journal.calls}
        for identifier, mark in MARKS.items():
            allowed = {"done": {1}, "started": {0, 1}, "interrupted": {0, 1}}.get(states.get(identifier), {0})
            found = marks.pop(mark, 0)
            assert found in allowed, f"effect {mark} of {identifier}, {states.get(identifier)}, is there {found} times"
        found = marks.pop(BACKGROUND, 0)
        assert found <= 1, f"effect {BACKGROUND} of the command in the background is there {found} times"
        assert not marks, f"effects of nobody: {marks}"


def attempt(trial, kills):
    """Runs the job, killed at each of these points in a run of its own, and then to its end.

    Returns the points reached, and the violations that were seen before the end: what a fault leads to shows later.
    """
    before, reached, violations = None, [], []
    for point in kills:
        code = trial.run(at=point)
        assert code in (0, -signal.SIGKILL), f"exit {code} with a kill at {point}: {trial.said()}"
        try:
            before = trial.check(before)
        except AssertionError as violation:
            violations.append(f"after the kill at {point}: {violation}")
        if code == 0:
            break
        reached.append(point)
    code = trial.run()
    assert code == 0, f"exit {code}: {trial.said()}"
    try:
        trial.check_end(trial.check(before, ended=True))
    except AssertionError as violation:
        violations.append(f"at the end: {violation}")
    return reached, violations


def every_point(after=None, checked=True):
    """The points of an undisturbed run, or of the one that goes on after a kill at `after`; each once, in order."""
    process_tree.adopt_orphans()
    with (tempfile.TemporaryDirectory() as folder, ModelServerProcess(script(), folder) as model,
          Trial(model) as trial):
        if after:
            assert trial.run(at=after) == -signal.SIGKILL, trial.said()
        log = fault_points.log_file(trial.folder)
        assert trial.run(log=log) == 0, trial.said()
        if checked:
            trial.check(ended=True)
        return fault_points.points(log)


def points_of(folder):
    """The points of an undisturbed run of the programs in `folder`, which may be those of a planted fault."""
    printed = subprocess.run([sys.executable, str(HERE), "points"], env=os.environ | {"AGENT_BIN_DIR": str(folder)},
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(printed.stdout)


def work():
    """Takes trials from standard input, each a list of points, and prints the verdict on each."""
    process_tree.adopt_orphans()
    with tempfile.TemporaryDirectory() as folder, ModelServerProcess(script(), folder) as model:
        for line in sys.stdin:
            kills = json.loads(line)
            reached, violations = [], []
            try:
                with Trial(model) as trial:
                    reached, violations = attempt(trial, kills)
            except (AssertionError, subprocess.TimeoutExpired) as violation:
                violations = [str(violation)]
            print(json.dumps({"kills": kills, "reached": reached, "violation": "\n".join(violations)[:4000]}), flush=True)


def side_by_side(trials, folder=None, program=HERE):
    """The verdicts on all trials of the programs in `folder`, made by four workers for each processor: most of a trial is
    waiting, for the disk and for the model's back-off."""
    workers = min(len(trials), 4 * (os.cpu_count() or 1))
    running = []
    for number in range(workers):
        own = trials[number::workers]
        process = subprocess.Popen(
            [sys.executable, str(program)], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=os.environ | {"AGENT_BIN_DIR": str(folder or programs())})
        # Short lines for a pipe of 64 KiB: a worker takes them as it comes to them.
        process.stdin.write("".join(json.dumps(kills) + "\n" for kills in own))
        process.stdin.close()
        process.stdin = None
        running.append(process)
    verdicts = []
    for process in running:
        out, _ = process.communicate(timeout=1200)
        assert process.returncode == 0, f"a worker ended with {process.returncode}"
        verdicts += [json.loads(line) for line in out.splitlines()]
    assert len(verdicts) == len(trials)
    return verdicts


if __name__ == "__main__":
    if sys.argv[1:] == ["points"]:
        print(json.dumps(every_point(checked=False)))
    else:
        work()
