"""The example of the demo: broken as it stands, mended by the edits of the demo's script."""

import pathlib
import shutil
import subprocess
import sys

import pytest

from model_server_process import PROGRAM, REPOSITORY

sys.path.insert(0, str(PROGRAM.parent))
from model_server import script as scripts  # noqa: E402

EXAMPLES = REPOSITORY / "examples"
SCRIPT = scripts.load(EXAMPLES / "demo-script.json")
CALLS = [call for turn in SCRIPT["turns"] for call in turn.get("tools", [])]
MISSING = [name for name in ("make", "cc", "awk") if shutil.which(name) is None]

STRATEGIC = {"execute", "read_file", "list_files", "search", "plan_write", "todo_stage", "begin_tactical", "ask_human",
             "job_complete"}
TACTICAL = {"execute", "read_file", "list_files", "search", "write_file", "edit_file", "todo_update", "end_phase"}

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")


@pytest.fixture
def project(tmp_path):
    """A copy of the example, without what a build in it has left."""
    copy = tmp_path / "project"
    shutil.copytree(EXAMPLES / "task", copy, ignore=shutil.ignore_patterns("build"))
    return copy


def make(project, *arguments):
    return subprocess.run(["make", "-s", *arguments], cwd=project, capture_output=True, text=True, timeout=300)


def apply_edits(project):
    for call in CALLS:
        if call["name"] != "edit_file":
            continue
        path = project / call["input"]["path"]
        text = path.read_text(encoding="utf-8")
        assert text.count(call["input"]["old"]) == 1, call
        path.write_text(text.replace(call["input"]["old"], call["input"]["new"]), encoding="utf-8")


def test_its_tests_fail_as_the_script_expects(project):
    run = make(project, "test")
    assert run.returncode != 0
    assert "7 passed, 6 failed" in run.stdout and "FAIL many_words_twice" in run.stdout
    assert make(project, "stress", "ROUNDS=1").returncode != 0


def test_the_scripts_edits_mend_it(project):
    apply_edits(project)
    run = make(project, "test")
    assert run.returncode == 0, run.stdout
    assert "13 passed, 0 failed" in run.stdout
    stress = make(project, "stress", "ROUNDS=1")
    assert stress.returncode == 0 and "1 rounds, no difference" in stress.stdout


def test_each_edit_is_needed(project, tmp_path):
    edits = [call for call in CALLS if call["name"] == "edit_file"]
    assert len(edits) == 4
    apply_edits(project)
    for number, call in enumerate(edits):
        copy = tmp_path / f"without-{number}"
        shutil.copytree(project, copy)
        path = copy / call["input"]["path"]
        path.write_text(path.read_text(encoding="utf-8").replace(call["input"]["new"], call["input"]["old"]),
                        encoding="utf-8")
        assert make(copy, "test").returncode != 0, call


def test_the_checks_of_its_todos_fail_before_and_pass_after(project):
    todos = next(call["input"]["todos"] for call in CALLS if call["name"] == "todo_stage")
    assert len(todos) == 3 and all(todo["acceptance"] for todo in todos)

    def codes():
        return [subprocess.run(["bash", "-c", todo["check"]], cwd=project, capture_output=True, timeout=120).returncode
                for todo in todos]

    assert all(code != 0 for code in codes())
    apply_edits(project)
    assert codes() == [0, 0, 0]


def test_a_build_elsewhere_writes_nothing_into_the_tree(project, tmp_path):
    before = sorted(str(path) for path in project.rglob("*"))
    make(project, "test", f"BUILD={tmp_path / 'elsewhere'}")
    assert sorted(str(path) for path in project.rglob("*")) == before


def test_the_script_calls_in_each_phase_only_tools_of_that_phase():
    allowed = STRATEGIC
    for turn in SCRIPT["turns"]:
        for call in turn.get("tools", []):
            assert call["name"] in allowed, call
        names = {call["name"] for call in turn.get("tools", [])}
        if "begin_tactical" in names:
            allowed = TACTICAL
        elif "end_phase" in names:
            allowed = STRATEGIC
    assert CALLS[-1]["name"] == "job_complete"


def test_its_deliverables_exist(project):
    for path in CALLS[-1]["input"]["deliverables"]:
        assert (project / path).is_file()


def test_the_task_is_given_as_text():
    assert "make test" in pathlib.Path(EXAMPLES / "task" / "TASK.md").read_text(encoding="utf-8")
