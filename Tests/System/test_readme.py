"""Lines of the READMEs, followed to the letter."""
import contextlib
import os
import pathlib
import re
import secrets
import shlex
import shutil
import subprocess
import tempfile

import pytest

import container
from container import ROOT, run
from job import HANGS, UID, programs
from model_server_process import ModelServerProcess
from turns import SMALL_JOB, execute, job_of, turn

# Not written here: this file is in the clone too.
KEY = secrets.token_hex(16)


def block(heading, language):
    """The first block of code under a heading of README.md."""
    section = (ROOT / "README.md").read_text().split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.search(f"```{language}\n(.*?)```", section, re.DOTALL)[1]


@pytest.fixture
def clone():
    """A clone with the ignore files as they are here, for an ordinary user, with the built programs."""
    with tempfile.TemporaryDirectory(prefix="agent-init-clone-", dir="/var/tmp") as folder:
        pathlib.Path(folder).chmod(0o755)
        place = pathlib.Path(folder) / "agent-init"
        run("git", "clone", "--quiet", "--no-hardlinks", ROOT, place)
        for name in (".gitignore", ".dockerignore"):
            shutil.copy(ROOT / name, place)
        (place / ".build").mkdir()
        (place / ".build/release").symlink_to(programs())
        if os.getuid() == 0:
            run("chown", "--recursive", "--no-dereference", f"{UID}:{UID}", place)
        yield place


def status(place):
    # As root git trusts no repository of another user unless it is told to.
    return run("git", "-c", f"safe.directory={place}", "-C", place, "status", "--porcelain", "--untracked-files=all")


def in_the_context(place):
    """All that an image built in a folder could copy, as one tar file."""
    container.need_tools()
    image = f"localhost/agent-init-context:{os.getpid()}"
    with container.store(), tempfile.NamedTemporaryFile("w", suffix=".Dockerfile") as file:
        file.write("FROM scratch\nCOPY . /\n")
        file.flush()
        container.podman(*container.BUILD, "--file", file.name, "--tag", image, place)
    with contextlib.ExitStack() as made:
        made.callback(container.podman, "rmi", image)
        identity = container.podman("create", image, "nothing")
        made.callback(container.podman, "rm", identity)
        return subprocess.run([*container.PODMAN, "export", identity], capture_output=True, check=True, timeout=HANGS).stdout


def test_the_key_and_the_volume_of_a_job_by_hand_get_into_no_commit_and_no_image(clone, tmp_path):
    before = status(clone)
    lines = block("Run a job by hand", "sh")
    assert lines.startswith("make build\n")
    with ModelServerProcess(job_of(turn(execute("echo worked > result"))), tmp_path) as model:
        settings = {"PATH": "/usr/bin:/bin", "ANTHROPIC_API_KEY": KEY, "AGENT_BASE_URL": model.url, "AGENT_LISTEN": "off"}
        user = ["/usr/bin/setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"] if os.getuid() == 0 else []
        done = subprocess.run([*user, "bash", "-euo", "pipefail", "-c", lines.removeprefix("make build\n")], env=settings,
                              cwd=clone, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=HANGS)
    assert done.returncode == 0, done.stderr
    assert (clone / "secrets/anthropic-api-key").read_text() == KEY and (clone / "workspace/project/result").exists()
    assert status(clone) == before
    context = in_the_context(clone)
    assert b"swift-tools-version" in context, "the sources are there"
    # Without the bytes in the message.
    found = {words for words in (KEY.encode(), b"\0workspace/", b"\0secrets/") if words in context}
    assert found == set()


def test_the_dockerfile_for_ones_own_image_makes_one_that_runs_a_job(image, tmp_path):
    file = tmp_path / "Dockerfile"
    text = block("Put it in an image", "dockerfile")
    assert "--from=agent-init " in text
    file.write_text(text.replace("--from=agent-init ", f"--from={image} "))
    own = container.build_alone(file, "agent-init-own")
    pod = container.Pod(tmp_path / "pod", own)
    try:
        pod.put_secrets({"anthropic-api-key": KEY})
        with ModelServerProcess(SMALL_JOB, tmp_path) as model:
            settings = {"JOB_ID": "own", "AGENT_TASK": "Do what the script says.", "AGENT_BASE_URL": model.url,
                        "AGENT_MODEL": "scripted", "AGENT_LISTEN": "off"}
            started = pod.start(settings)
            assert started.wait() == 0, started.output()
    finally:
        pod.remove()
        container.remove_image(own)


def kubectl_lines():
    for file in ("README.md", "examples/k8s/README.md"):
        yield from ((file, line) for line in (ROOT / file).read_text().splitlines() if line.startswith("kubectl run "))


@pytest.mark.parametrize(("file", "line"), kubectl_lines())
def test_what_kubectl_run_is_told_to_start_is_started(file, line, image, tmp_path):
    options, words = shlex.split(line.split(" -- ")[0]), shlex.split(line.split(" -- ")[1])
    pod = container.Pod(tmp_path / "pod", image)
    try:
        # With --command the words stand in the place of the image's ENTRYPOINT, without it they are its arguments.
        replaced = "--command" in options
        started = pod.start({}, *words[replaced:], entrypoint=words[:1] if replaced else None)
        assert started.wait() == 0, started.output()
        assert "Landlock" in started.output()
    finally:
        pod.remove()


def test_there_are_such_lines():
    assert len(list(kubectl_lines())) == 2
