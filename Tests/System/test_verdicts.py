"""A verdict cannot be forged by what is verified: programs, startup files and settings that a command has planted in its
home decide about no check, no acceptance and no look of the tools. Planted in either phase."""

import os

import pytest

from job_ends import end_well, refuse
from turns import call, complete, done, execute, plan, todo, turn

# Everything that is searched for in a home. Each forgery passes whatever it is asked, and leaves a trace.
PLANT = r"""
mkdir -p ~/.local/bin ~/bin ~/.config/git
for name in bash sh grep find make python3 cat test git env; do
    printf '#!/bin/sh\necho forged >> /tmp/%s\nexit 0\n' "$FORGED" > ~/.local/bin/$name; chmod +x ~/.local/bin/$name
    cp ~/.local/bin/$name ~/bin/$name
done
for file in .bashrc .bash_profile .profile .bash_login .bash_env; do echo 'exit 0' > ~/$file; done
site=$(/usr/bin/python3 -m site --user-site)
mkdir -p "$site"
echo 'import os; os._exit(0)' > "$site/usercustomize.py"
echo 'import os; os._exit(0)' > "$site/sitecustomize.py"
printf '#!/bin/sh\nprintf "token\\0"\n' > ~/watch; chmod +x ~/watch
/usr/bin/git config --global core.fsmonitor ~/watch
/usr/bin/git config --global core.hooksPath ~/bin
/usr/bin/git config --global alias.diff '!true'
/usr/bin/git config --global --add safe.directory '*'
"""

# What each of them would forge, and what tells the truth about a result that is 41.
CHECKS = {
    "bash by the shell itself": "false",
    "grep": "grep -qx 42 result",
    "find": "test -n \"$(find . -name result-of-42)\"",
    "make": "printf 'all:\\n\\tgrep -qx 42 result\\n' > Makefile; make -s",
    "python3 and its user site": "python3 -c 'import sys; sys.exit(open(\"result\").read() != \"42\\n\")'",
    "git by its settings": "test -z \"$(git status --porcelain -- committed)\"",
    "env": "env python3 -c 'raise SystemExit(1)'",
    "a home that is empty": "test -z \"$(ls -A ~)\" && false",
}

REPOSITORY = ("git init -q . && echo 1 > committed && git add committed && "
              "git -c user.name=n -c user.email=e commit -qm c && echo 41 > result")
# With a monitor that says that nothing has changed git looks at nothing.
CHANGE = "/usr/bin/git status; /usr/bin/git status; sleep 0.1; echo 2 > committed"


@pytest.mark.parametrize("phase", ["STRATEGIC", "TACTICAL"])
@pytest.mark.parametrize("name", CHECKS)
def test_what_is_planted_in_the_home_makes_no_check_pass(new_job, name, phase):
    plants = execute(PLANT)
    first = [turn(plants)] if phase == "STRATEGIC" else []
    work = [execute(REPOSITORY), *([plants] if phase == "TACTICAL" else []), execute(CHANGE)]
    job = new_job({"turns": [
        *first,
        plan(todo("Forty-two", CHECKS[name])),
        turn(*work),
        turn(done("t1")),
        complete("result"),
        turn(call("ask_human", question="What now?"), expect=["failed: the check of t1"]),
    ]}, AGENT_COMMAND_ENV="FORGED", FORGED=f"forged-{os.getpid()}")
    ended = job.run()
    assert (ended.code, ended.message["outcome"]) == (75, "needs_input"), ended
    journal = job.journal()
    assert [event["passed"] for event in journal.of("verified")] == [False]
    planted = journal.results("execute")
    assert all(result["outcome"] == "done" for result in planted.values()), planted


def test_the_forgeries_are_good_for_something(new_job):
    """The same attempts in a command of its own, with its home in front: each of them passes."""
    forged = f"forged-{os.getpid()}"
    tries = "; ".join(
        f"PATH=~/.local/bin:$PATH BASH_ENV=~/.bash_env bash -c {quoted(check)} && echo passed"
        for name, check in CHECKS.items() if name != "git by its settings")
    job = new_job({"turns": [
        plan("Work"),
        turn(execute(REPOSITORY), execute(PLANT), execute(CHANGE)),
        turn(execute(tries), execute(CHECKS["git by its settings"] + " && echo blind"),
             execute("python3 -c 'raise SystemExit(1)' && echo silent")),
        turn(done("t1"), expect=["passed\n" * (len(CHECKS) - 1), "blind", "silent"]),
        complete(),
    ]}, AGENT_COMMAND_ENV="FORGED", FORGED=forged)
    end_well(job)


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


@pytest.mark.parametrize("phase", ["STRATEGIC", "TACTICAL"])
def test_search_and_list_files_look_with_the_images_programs(new_job, phase):
    look = [call("search", pattern="needle"), call("list_files")]
    script = [turn(execute(PLANT)), turn(*look)] if phase == "STRATEGIC" else []
    tactical = [turn(execute(PLANT)), turn(*look)] if phase == "TACTICAL" else []
    job = new_job({"turns": [
        *script,
        plan("Work", **({"expect": ["hay:2:needle", "hay\t11 bytes"]} if script else {})),
        *tactical,
        turn(done("t1"), **({"expect": ["hay:2:needle", "hay\t11 bytes"]} if tactical else {})),
        complete(),
    ]}, AGENT_COMMAND_ENV="FORGED", FORGED=f"forged-{os.getpid()}")
    job.project.mkdir()
    (job.project / "hay").write_text("hay\nneedle\n")
    job.own(job.project, job.project / "hay")
    end_well(job)


def test_a_check_has_a_home_and_a_temporary_folder_of_its_own_in_which_it_can_run_programs(new_job):
    check = ("cd \"$(mktemp -d)\" && printf '#!/bin/sh\\necho ran\\n' > p && chmod +x p && test \"$(./p)\" = ran "
             "&& echo x > ~/mine && test \"$(cat ~/mine)\" = x && echo y > /tmp/agent-init-check-$$ && rm /tmp/agent-init-check-$$")
    job = new_job({"turns": [plan(todo("Work", check)), turn(execute("echo hers > ~/hers")), turn(done("t1")), complete()]})
    end_well(job)
    # What it left there is gone with the next one, and no command ever saw it.
    assert not (job.workspace / "home/mine").exists() and (job.workspace / "home/hers").exists()


# MARK: AGENT_ACCEPTANCE_FILE

SCRIPTS = {
    "without a first line": "grep -qx 42 result\n",
    "of a shell": "#!/bin/sh\ngrep -qx 42 result\n",
    "of Python": "#!/usr/bin/env python3\nimport sys\nsys.exit(open('result').read() != '42\\n')\n",
}


@pytest.mark.parametrize("kind", SCRIPTS)
def test_a_script_outside_decides_whether_the_job_is_complete(new_job, kind):
    job = new_job({"turns": [
        plan("Work"),
        turn(execute(PLANT), execute("echo 41 > result"), done("t1")),
        complete("result"),
        plan("Mend it", expect=["failed: AGENT_ACCEPTANCE_FILE"]),
        turn(execute("echo 42 > result"), done("t2")),
        complete("result"),
    ]}, AGENT_COMMAND_ENV="FORGED", FORGED=f"forged-{os.getpid()}")
    script = job.root / "acceptance"
    script.write_text(SCRIPTS[kind])
    script.chmod(0o444)
    job.change(AGENT_ACCEPTANCE_FILE=str(script))
    journal = end_well(job)
    assert [event["passed"] for event in journal.of("verified")] == [False, True]


def test_with_an_acceptance_no_todo_and_no_deliverable_are_needed(new_job):
    job = new_job({"turns": [complete()]}, AGENT_ACCEPTANCE="true")
    end_well(job)


@pytest.mark.parametrize(("place", "text", "words"), [
    ("workspace/project/accept", "true\n", ["lies in AGENT_PROJECT_DIR", "which commands can write"]),
    ("workspace/home/accept", "true\n", ["lies in AGENT_HOME"]),
    ("absent", None, ["cannot be read"]),
    ("empty", " \n", ["is empty"]),
])
def test_a_script_that_cannot_be_the_judge_is_refused(new_job, place, text, words):
    job = new_job({"turns": []})
    path = job.root / place
    if text is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        job.own(path.parent, path)
    job.change(AGENT_ACCEPTANCE_FILE=str(path))
    refuse(job, 78, "configuration", "AGENT_ACCEPTANCE_FILE", *words)


def test_two_judges_are_refused(new_job):
    job = new_job({"turns": []}, AGENT_ACCEPTANCE="true", AGENT_ACCEPTANCE_FILE="/etc/hostname")
    refuse(job, 78, "configuration", "AGENT_ACCEPTANCE and AGENT_ACCEPTANCE_FILE are both set")
