"""A process that is stopped (SIGSTOP) while another takes its job over on the same volume: once it goes on it finds that
it owns nothing any more, and changes nothing."""

import os
import signal
import tempfile
import time

import pytest

import kill_trials
import process_tree
from job import HANGS, eventually
from job_ends import digests
from kill_trials import Trial
from model_server_process import ModelServerProcess


@pytest.fixture(scope="module")
def model():
    process_tree.adopt_orphans()
    with tempfile.TemporaryDirectory() as folder, ModelServerProcess(kill_trials.script(), folder) as server:
        yield server


def stopped(trial, point):
    """A run that has stopped itself at that point."""
    process = trial.start(at=point, what="stop")

    def is_stopped():
        assert process.poll() is None, f"it ended with {process.returncode}: {trial.said()}"
        with open(f"/proc/{process.pid}/stat", encoding="ascii", errors="replace") as status:
            return status.read().rpartition(")")[2].split()[0] == "T"

    eventually(f"stopped at {point}", is_stopped)
    return process


def take_over(trial):
    """A second process runs the job to its end, beside the one that is stopped."""
    second = trial.start()
    assert second.wait(timeout=HANGS) == 0, trial.said()
    return trial.check(ended=True)


# Each request to the model, after its intent and in the middle of it; a command that runs and prints.
@pytest.mark.parametrize("point", [*(f"connect socket {number}" for number in range(1, 8)), "send socket 3",
                                   "write output 1"])
def test_an_owner_that_was_stopped_ends_with_75_and_changes_nothing(model, point):
    with Trial(model) as trial:
        first = stopped(trial, point)
        journal = take_over(trial)
        assert len(journal.of("acquired")) == 2
        before = digests(trial.project)
        os.kill(first.pid, signal.SIGCONT)
        assert first.wait(timeout=HANGS) == 75, trial.said()
        assert "has taken job trial over" in trial.said()
        trial.kill_all()
        assert [event.row for event in trial.journal().events] == [event.row for event in journal.events]
        assert digests(trial.project) == before


# A command whose janitor is to be started; a file that is to get its name.
@pytest.mark.parametrize("point", ["posix_spawn command 4", "renameat project 1", "renameat project 2"])
def test_what_a_stopped_owner_had_said_to_start_may_still_happen_and_only_once(model, point):
    # Nothing but the volume's exclusivity can take back what is between its `started` commit and the world.
    with Trial(model) as trial:
        first = stopped(trial, point)
        journal = take_over(trial)
        os.kill(first.pid, signal.SIGCONT)
        assert first.wait(timeout=HANGS) == 75, trial.said()
        trial.kill_all()
        assert [event.row for event in trial.journal().events] == [event.row for event in journal.events]
        trial.check_effects(journal)


@pytest.mark.parametrize("point", ["fdatasync wal 12"])
def test_an_owner_that_was_stopped_within_a_commit_keeps_the_job_from_others_until_it_goes_on(model, point):
    # It holds the write lock: another waits for it, and goes with 75 instead of working on what is not settled.
    with Trial(model) as trial:
        first = stopped(trial, point)
        second = trial.start()
        assert second.wait(timeout=HANGS) == 75, trial.said()
        os.kill(first.pid, signal.SIGCONT)
        assert first.wait(timeout=HANGS) == 0, trial.said()
        trial.kill_all()
        assert len(trial.check(ended=True).of("acquired")) == 1


@pytest.mark.parametrize("starts", [3, *[6] * 8])
def test_starts_at_the_same_time_leave_one_owner_and_its_journal(model, starts):
    with Trial(model) as trial:
        runs = [trial.start() for _ in range(starts)]
        deadline = time.monotonic() + HANGS
        codes = [run.wait(timeout=deadline - time.monotonic()) for run in runs]
        trial.kill_all()
        assert set(codes) <= {0, 75} and 0 in codes, (codes, trial.said())
        # None of them has taken for damage what another was just writing.
        assert list(trial.database.parent.glob("*.damaged-*")) == [], trial.said()
        trial.check(ended=True)
