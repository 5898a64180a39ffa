"""A disk that fails, once or for good, at each call that the loop makes to it: EIO, no room, a failed fsync, a torn write.

The points are those of an undisturbed run of the shipped program (fault_points.c). Each run ends with the documented code
and its reason, and with a disk that is well again the job is done with nothing lost and nothing done twice. Of the writes
of pages, which are many and alike, every twelfth is tried; AGENT_TEST_EVERY_POINT=1 tries all.
"""

import os
from collections import Counter

import pytest

import disk_trials
import kill_trials

OURS = ("wal", "database", "shm", "backup", "new", "reserve", "folder")
"""The files of the checkpoint. A file of the project is the model's affair: it is told."""


@pytest.fixture(scope="module")
def points():
    return [point for point in kill_trials.every_point() if point.split()[1] in OURS]


def chosen(points, *calls, step=1):
    found = [point for point in points if point.split()[0] in calls]
    return found if os.environ.get("AGENT_TEST_EVERY_POINT") else found[::step]


def tried(trials):
    verdicts = kill_trials.side_by_side(trials, program=disk_trials.PROGRAM)
    found = [verdict for verdict in verdicts if verdict["violation"]]
    ends = Counter(verdict["end"] for verdict in verdicts)
    print(f"{len(verdicts)} trials, {len(found)} violations: {dict(ends)}")
    for verdict in found[:10]:
        print(f"--- {verdict['what']} at {verdict['point']}: {verdict['violation']}")
    assert not found
    return verdicts, ends


def test_a_failed_fsync_stops_the_job_and_loses_nothing(points):
    trials = [[point, "EIO"] for point in chosen(points, "fsync", "fdatasync", step=3)]
    assert len(trials) > 10
    verdicts, _ = tried(trials)
    ends = {verdict["end"] for verdict in verdicts if verdict["point"].startswith("fdatasync wal")}
    assert "storage" in ends, "a commit that could not be synced is no commit"


def test_a_commit_that_finds_no_room_is_made_in_the_reserve(points):
    trials = [[point, what] for index, point in enumerate(chosen(points, "pwrite", step=12))
              for what in [("ENOSPC", "torn")[index % 2]]]
    _, ends = tried(trials)
    assert ends["disk_full"] > 10


def test_an_error_of_the_disk_stops_the_job_and_loses_nothing(points):
    trials = [[point, "EIO"] for point in chosen(points, "pwrite", step=24)]
    trials += [[point, what] for point in chosen(points, "rename", "ftruncate", "unlink", "fallocate", step=4)
               for what in ("EIO", "ENOSPC")]
    _, ends = tried(trials)
    assert ends["storage"] > 5


def test_a_disk_that_has_no_room_at_all_any_more_loses_nothing(points):
    """Not even the reserve is to be had: the last commit that was made is what counts."""
    walls = chosen(points, "pwrite", step=40)
    tried([[f"{point}+", "ENOSPC"] for point in walls if " wal " in point])


def test_a_disk_that_fails_for_good_loses_nothing(points):
    trials = [[f"{point}+", "EIO"] for point in chosen(points, "fdatasync", "fsync", step=15)]
    tried(trials)
