"""`agent-init exec` and `doctor` as an ordinary user, in folders of their own (AGENT_BIN_DIR, default .build/release)."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import jailed
import process_tree
from job import HANGS, UID, programs


class Sandbox:
    """A workspace without a job: no JOB_ID, no model, no secrets."""

    def __init__(self):
        process_tree.adopt_orphans()
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="agent-init-sandbox-", dir="/var/tmp"))
        self.root.chmod(0o755)
        self.workspace, self.secrets = self.root / "workspace", self.root / "secrets"
        self.project, self.checkpoints = self.workspace / "project", self.workspace / "checkpoints"
        self.workspace.mkdir()
        self.own(self.root, self.workspace)
        self.settings = {"WORKSPACE_PATH": str(self.workspace), "PATH": "/usr/local/bin:/usr/bin:/bin"}
        self.children = []

    def close(self):
        for child in self.children:
            child.kill()
            child.wait()
        shutil.rmtree(self.root, ignore_errors=True)

    def own(self, *paths):
        for path in paths:
            os.chown(path, UID, UID if os.getuid() == 0 else -1)

    def make(self, path, text=None, mode=None):
        """A folder, or a file with that text, that is the user's."""
        path.mkdir(parents=True) if text is None else path.write_text(text)
        if mode is not None:
            path.chmod(mode)
        self.own(path)
        return path

    def line(self, *arguments, under=()):
        line = [*under, str(programs() / "agent-init"), *map(str, arguments)]
        if os.getuid() == 0:
            line = ["/usr/bin/setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", *line]
        return line

    def start(self, *arguments, under=(), settings=None, **options):
        given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        process = subprocess.Popen(
            self.line(*arguments, under=under), env={**self.settings, **(settings or {})}, cwd="/", **given)
        self.children.append(process)
        return process

    def run(self, *arguments, input=None, **options):
        """Runs a subcommand to its end; input and output are bytes."""
        if input is not None:
            options["stdin"] = subprocess.PIPE
        process = self.start(*arguments, **options)
        out, err = process.communicate(input, timeout=HANGS)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def exec(self, *arguments, **options):
        """`agent-init exec` with these words."""
        return self.run("exec", *arguments, **options)

    def script(self, script, *options, **others):
        return self.run("exec", *options, "--", *jailed.strict(script), **others)

    def json(self, script, *options, **others):
        """The result object of a script, checked for what holds of every one."""
        done = self.script(script, "--json", *options, **others)
        assert done.stderr == b"", done
        text, end, rest = done.stdout.partition(b"\n")
        assert end and not rest, "one object on one line"
        result = json.loads(text)
        assert result["exit_code"] == done.returncode
        return result
