"""scripts/check-kernel, and that make asks it before it installs or builds anything."""
import pathlib
import shutil
import subprocess
import sys

import pytest

from container import ROOT

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = ROOT / "scripts/check-kernel"
NO_LANDLOCK = [sys.executable, HERE / "with_filter.py", "444=38", "--"]
OLD = [sys.executable, HERE / "with_landlock.py", "2", "--"]
"""As Debian 12's Linux 6.1 answers."""


def check(*under, arguments=()):
    return subprocess.run([*under, PROGRAM, *arguments], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("under", [[], [sys.executable, HERE / "with_landlock.py", "6", "--"]], ids=["this kernel", "ABI 6"])
def test_a_kernel_with_abi_6_is_passed_over_in_silence(under):
    done = check(*under)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("abi", ["1", "5"])
def test_an_older_kernel_is_77_and_one_sentence_with_what_to_do(abi):
    done = check(sys.executable, HERE / "with_landlock.py", abi, "--")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (77, "", 1)
    for words in (f"Landlock ABI {abi}, and the jail needs 6", "exit code 77", "Linux 6.12", "linux-image-6.12-"):
        assert words in done.stderr


@pytest.mark.parametrize(("errno", "words"), [
    (38, "has no Landlock"), (95, 'add "landlock" to lsm='), (1, "seccomp profile of this container"),
])
def test_a_kernel_without_it_is_told_apart_from_one_that_has_it_switched_off_or_may_not_say(errno, words):
    done = check(sys.executable, HERE / "with_filter.py", f"444={errno}", "--")
    assert done.returncode == 77 and done.stderr.count("\n") == 1 and words in done.stderr


def test_a_warning_is_no_failure():
    done = check(*OLD, arguments=["--warn"])
    assert done.returncode == 0 and "ABI 2" in done.stderr and "what is built here runs no command here" in done.stderr


def test_another_word_is_64():
    done = check(arguments=["--nonsense"])
    assert done.returncode == 64 and "--warn" in done.stderr


@pytest.fixture
def project(tmp_path):
    """The Makefile with scripts that only say that they were come to."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    shutil.copy(PROGRAM, scripts)
    (scripts / "install-dependencies").write_text("#!/bin/sh\necho dependencies; exit 9\n")
    (scripts / "install-dependencies").chmod(0o755)
    return tmp_path


def make(project, target, under):
    return subprocess.run([*under, shutil.which("make"), "--silent", target], cwd=project, capture_output=True, text=True,
                          timeout=60)


@pytest.mark.parametrize("target", ["demo", "test", "bench"])
def test_what_runs_commands_fails_at_once(project, target):
    done = make(project, target, OLD)
    assert done.stdout == "" and "ABI 2" in done.stderr and "Error 77" in done.stderr
    assert "dependencies" in make(project, target, []).stdout, "on a kernel that will do it goes on"


def test_what_only_builds_warns_first_and_goes_on(project):
    done = make(project, "build", NO_LANDLOCK)
    assert done.stderr.startswith("check-kernel: ") and done.stdout == "dependencies\n" and "Error 9" in done.stderr
