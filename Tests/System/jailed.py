"""A workspace to run agent-jail in, for the tests of the built program (AGENT_BIN_DIR, default .build/release)."""
import dataclasses
import os
import pathlib
import shutil
import subprocess
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
JAIL = pathlib.Path(os.environ.get("AGENT_BIN_DIR", REPOSITORY / ".build/release")).resolve() / "agent-jail"
WITH_FILTER = str(pathlib.Path(__file__).resolve().parent / "with_filter.py")

# No test waits for a time to pass; this only ends a test that hangs.
HANGS = 120


def strict(script):
    """The words that run a script so that no part of it fails unseen: the last command alone would decide otherwise. A test
    that means a command to fail says so in the script (`|| …`, `if`)."""
    return ["/bin/bash", "-euo", "pipefail", "-c", script]


@dataclasses.dataclass
class Result:
    code: int
    out: str
    err: str
    # The fields of the report line; a bare word's value is True. Empty if there was no report.
    report: dict
    # What was refused: the fields of those lines.
    refused: list = dataclasses.field(default_factory=list)


def parse_report(line):
    fields = {}
    for part in line.rstrip("\n").split("\t"):
        key, mark, value = part.partition("=")
        fields[key] = value if mark else True
    return fields if line else {}


class Workspace:
    """The folders of one job, owned by the user that commands run as."""

    def __init__(self, uid):
        self.uid = uid
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="agent-jail-test-", dir="/tmp"))
        self.root.chmod(0o755)
        for name in ("project", "home", "tmp", "checkpoints", "bin"):
            (self.root / name).mkdir()
        (self.root / "checkpoints/secret").write_text("hunter2")
        self.project, self.home, self.tmp = (self.root / name for name in ("project", "home", "tmp"))
        self.outside = self.root / "checkpoints"
        # The user need not be able to reach the build folder.
        self.jail = shutil.copy(JAIL, self.root / "bin")
        subprocess.run(["chown", "-R", f"{uid}:{uid}", self.root], check=True)
        self.children = []

    def close(self):
        for child in self.children:
            child.kill()
            child.wait()
        shutil.rmtree(self.root, ignore_errors=True)

    @property
    def environment(self):
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.home), "TMPDIR": str(self.tmp), "LANG": "C.UTF-8",
            "OUTSIDE": str(self.outside),
        }

    def as_user(self, command):
        """As the user, without a capability that the user of a pod would not have."""
        if self.uid == os.getuid():
            return command
        return ["/usr/bin/setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups", *command]

    def arguments(self, command, *, profile="tactical", timeout_ms=60_000, grace_ms=1000, cwd=None, network="none", listen="none",
                  environment=None, project=None, home=None, tmp=None, extra=()):
        result = ["--profile", profile, "--project", str(project or self.project), "--home", str(home or self.home)]
        result += ["--tmp", str(tmp or self.tmp), "--timeout-ms", str(timeout_ms), "--grace-ms", str(grace_ms)]
        if cwd:
            result += ["--cwd", str(cwd)]
        result += ["--network", network, "--listen", listen]
        for name, value in (self.environment if environment is None else environment).items():
            result += ["--env", f"{name}={value}"]
        return result + list(extra) + ["--", *command]

    def start(self, command, *, under=(), report=True, control=None, stdin=subprocess.DEVNULL, pass_fds=(),
              options=(), **asked):
        """A running agent-jail, with `.report` the descriptor to read its report from."""
        if isinstance(command, str):
            command = strict(command)
        reader, writer = os.pipe()
        extra = [*options, *(["--report-fd", str(writer)] if report else [])]
        passed = [writer, *pass_fds]
        if control is not None:
            extra += ["--control-fd", str(control)]
            passed.append(control)
        line = [self.jail, *self.arguments(command, extra=extra, **asked)]
        process = subprocess.Popen(
            self.as_user([*under, *line]), stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            pass_fds=passed, env={}, cwd="/", errors="replace")
        os.close(writer)
        process.report = reader
        self.children.append(process)
        return process

    def finish(self, process, input=None):
        out, err = process.communicate(input, timeout=HANGS)
        with os.fdopen(process.report) as report:
            lines = [parse_report(line) for line in report.read().splitlines()]
        refused = [line for line in lines if "refused" in line or "refusals_unlisted" in line]
        rest = [line for line in lines if line not in refused]
        assert len(rest) <= 1, f"more than one report: {rest}"
        return Result(process.returncode, out, err, rest[0] if rest else {}, refused)

    def run(self, command, *, input=None, **options):
        """Runs a command (a text: by bash) in the jail, to its end."""
        if input is not None:
            options["stdin"] = subprocess.PIPE
        return self.finish(self.start(command, **options), input)

    def bare(self, script):
        """Runs the same without a jail: an attempt that fails here proves nothing about the jail."""
        done = subprocess.run(
            self.as_user(strict(script)), cwd=self.project, env=self.environment, capture_output=True,
            timeout=HANGS, stdin=subprocess.DEVNULL, errors="replace")
        return Result(done.returncode, done.stdout, done.stderr, {})

    def background(self, command, **options):
        """A process of the same user outside the jail."""
        process = subprocess.Popen(
            self.as_user(command), stdin=subprocess.DEVNULL, env={**self.environment, "SECRET": "hunter2"}, **options)
        self.children.append(process)
        return process

    def alive(self, marker):
        """The processes whose command line has `marker` in it, zombies left out."""
        found = []
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if marker in (folder / "cmdline").read_text() and "State:\tZ" not in (folder / "status").read_text():
                    found.append(int(folder.name))
            except OSError:
                continue
        return found


def python(code):
    """A Python program as a word of a shell command."""
    return "/usr/bin/python3 -c '" + code.strip().replace("'", "'\\''") + "'"
