"""A kill at every point at which the loop changes something outside of itself: nothing is lost, nothing is done twice.

The points are those of an undisturbed run of the shipped program (fault_points.c): each write, sync, rename and removal
of the checkpoint, its backups and the project tree, each start of a command, each request to the model. Of page writes in a
row, to one file with nothing between them, the first and the last are tried: with anything less than all of them the
transaction is not there. AGENT_TEST_EVERY_POINT=1 tries all.
"""

import os
import pathlib
import random
import shutil

import pytest

import kill_trials
from job import REPOSITORY, programs

TRIALS = int(os.environ.get("AGENT_TEST_TRIALS", "300"))
SEED = int(os.environ.get("AGENT_TEST_SEED", "1"))


@pytest.fixture(scope="module")
def points():
    return kill_trials.every_point()


def name(point):
    return point.rpartition(" ")[0]


def chosen(points):
    if os.environ.get("AGENT_TEST_EVERY_POINT"):
        return points
    found = []
    for before, point, after in zip([""] + points, points, points[1:] + [""]):
        if not (point.startswith("pwrite ") and name(before) == name(point) == name(after)):
            found.append(point)
    return found


def after_effects(points):
    """The first write of the checkpoint after each effect: it is done, and its result is not yet on the disk."""
    return [point for before, point in zip(points, points[1:])
            if point.startswith("pwrite wal ") and before.startswith(("sendmsg ", "posix_spawn ", "write ", "renameat "))]


def report(verdicts):
    found = [verdict for verdict in verdicts if verdict["violation"]]
    reached = sum(len(verdict["reached"]) for verdict in verdicts)
    print(f"{len(verdicts)} trials, {reached} kills, {len(found)} violations")
    for verdict in found[:10]:
        print(f"--- killed at {verdict['kills']}: {verdict['violation']}")
    return found, reached


def test_a_kill_at_every_point_loses_nothing_and_does_nothing_twice(points):
    trials = [[point] for point in chosen(points)]
    assert len(trials) > 200, "the points are not all seen"
    found, reached = report(kill_trials.side_by_side(trials))
    assert not found
    # A point that depends on who is faster may be missed.
    assert reached > 0.95 * len(trials)


def test_a_kill_at_every_point_of_a_recovery_loses_nothing_and_does_nothing_twice(points):
    # The last command that prints into the spool: it was running, others beside it had ended or not begun.
    first = "write output 1"
    assert first in points
    recovery = kill_trials.every_point(after=first)
    trials = [[first, point] for point in chosen(recovery)]
    assert len(trials) > 50, "the points are not all seen"
    found, reached = report(kill_trials.side_by_side(trials))
    assert not found
    assert reached > 1.95 * len(trials) - 5


def test_one_to_three_kills_anywhere_recovery_included_lose_nothing_and_do_nothing_twice(points):
    chance = random.Random(SEED)
    print(f"AGENT_TEST_SEED={SEED}")
    trials = []
    for _ in range(TRIALS):
        kills = [chance.choice(points)]
        # What follows is a recovery, and shorter: its points have low numbers.
        for _ in range(chance.randint(0, 2)):
            name, _, number = chance.choice(points).rpartition(" ")
            kills.append(f"{name} {chance.randint(1, max(1, int(number) // 3))}")
        trials.append(kills)
    found, reached = report(kill_trials.side_by_side(trials))
    assert not found
    assert reached > 1.2 * len(trials), "too few kills came to pass"


def test_a_loop_that_does_not_say_what_it_starts_is_found_out():
    """The harness proves itself: the same trials, of a program without the `started` commit, find effects done twice."""
    planted = programs().parent / f"{programs().name}-planted"
    built = pathlib.Path(os.environ.get("AGENT_PLANTED_DIR") or REPOSITORY / ".build/planted")
    assert (built / "agentd").exists(), f"no planted agentd in {built}: scripts/test builds it"
    shutil.copytree(programs(), planted)
    try:
        shutil.copy(built / "agentd", planted)
        trials = [[point] for point in after_effects(kill_trials.points_of(planted))]
        found, _ = report(kill_trials.side_by_side(trials, planted))
    finally:
        shutil.rmtree(planted)
    twice = [verdict for verdict in found if "is there 2 times" in verdict["violation"]]
    assert len(twice) >= 3, "effects were done twice, and nobody noticed"
