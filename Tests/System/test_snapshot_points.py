"""Snapshots, claims and restores at each of their calls that change something (fault_points.c): in what order they are
made, so that a node that loses power has all or nothing of an object, and what a kill at any of them leaves."""

import shutil
import subprocess

import fault_points
from job import programs
from job_ends import end_well
from test_snapshots import Objects, WORK, new_volume, restore


def run(job, *arguments, **fault):
    """`agentd` itself: agent-init, which starts it, lets no library be preloaded."""
    command = job.command()
    command[-1:] = [str(programs() / "agentd"), *arguments]
    return subprocess.run(command, env=job.settings | fault_points.settings(**fault), cwd="/", stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)


def points_of(job, *arguments):
    """What an undisturbed run does."""
    log = fault_points.log_file(job.root)
    log.write_text("")
    done = run(job, *arguments, log=log)
    assert done.returncode == 0, done.stderr
    # What it says is no change.
    return [point for point in fault_points.points(log) if point.split()[1] != "pipe"]


def around(points, name):
    """What came directly before and after each point of that name."""
    names = [point.rpartition(" ")[0] for point in points]
    found = [(names[index - 1], names[index + 1]) for index, point in enumerate(names) if point == name]
    assert found, f"no {name} among {sorted(set(names))}"
    return set(found)


def test_an_object_and_a_claim_are_on_the_disk_before_they_have_their_names_and_these_before_anything_follows(new_job):
    job = new_job(WORK)
    objects = Objects(job)
    end_well(job)
    shutil.rmtree(objects.folder / "jobs" / job.name / "snapshots")
    assert around(points_of(job, "snapshot"), "rename object") == {("fsync making", "fsync object")}
    points = points_of(job, "claim", "--epoch", "2", "--nonce", "test")
    assert around(points, "link object") == {("fsync making", "fsync object")}
    assert around(points, "rename claims") == {("fsync claims", "fsync folder")}
    new_volume(job)
    assert around(points_of(job, "restore"), "rename fetched") == {("fsync making", "fsync fetched")}


def test_a_restore_that_is_killed_at_any_point_can_be_run_again(new_job):
    job = new_job(WORK)
    Objects(job)
    seq = end_well(job).head["seq"]
    new_volume(job)
    points = points_of(job, "restore")
    assert len(points) > 20, points
    lost = job.workspace.rename(job.root / "whole")
    for point in points:
        job.workspace.mkdir(mode=0o700)
        job.own(job.workspace)
        run(job, "restore", at=point)
        assert restore(job)["outcome"] in ("restored", "up_to_date"), point
        assert job.ask("SELECT max(seq) FROM event") == (seq,), point
        assert job.agent("verify").returncode == 0, point
        left = [*job.checkpoints.iterdir(), *job.workspace.iterdir()]
        marks = ("~", ".fetched", ".restored", ".restoring", ".new")
        assert not [path.name for path in left if any(mark in path.name for mark in marks)], point
        shutil.rmtree(job.workspace)
    lost.rename(job.workspace)


def test_a_snapshot_that_is_killed_at_any_point_is_whole_or_not_there(new_job):
    job = new_job(WORK)
    objects = Objects(job)
    end_well(job)
    jobs = objects.folder / "jobs"

    def empty():
        shutil.rmtree(jobs / job.name / "snapshots")

    empty()
    points = points_of(job, "snapshot")
    assert len(points) > 10, points
    for point in points:
        empty()
        run(job, "snapshot", at=point)
        if objects.manifests():
            manifest = objects.manifests()[0]
            assert (objects.folder / manifest["database"]["key"]).stat().st_size == manifest["database"]["size"], point
        done = run(job, "snapshot")
        assert done.returncode == 0 and len(objects.manifests()) == 1, f"{point}: {done.stderr}"
        assert not list(job.checkpoints.glob("*.snapshot*")), point
