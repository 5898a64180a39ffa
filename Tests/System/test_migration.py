"""A checkpoint of every schema version that there ever was is taken over: Tests/System/fixtures/checkpoint-N.sql is a
dump of a job that a program of version N wrote and that was killed in a command. Never change one; add the next."""

import contextlib
import pathlib
import shutil
import signal
import sqlite3
import subprocess

import pytest

import fault_points
from job import STEP_HANGS
from job_ends import end_well
from turns import call, execute, job_of, turn

FIXTURES = pathlib.Path(__file__).with_name("fixtures")
VERSIONS = sorted(int(path.stem.split("-")[1]) for path in FIXTURES.glob("checkpoint-*.sql"))
OPEN = {1: [], 2: ["3.0"], 3: ["3.0"]}
"""The commands that ran in the background when a fixture's job was killed."""
SCRIPT = job_of(turn(execute("echo one >> effects; seq 1 3000"), call("read_file", path="effects")),
                turn(execute("[ -e stays ] || { echo x > stays; sleep 600; }", timeout_seconds=600)),
                turn(execute("echo two >> effects")), deliverables=["stays"])


def dump(path):
    with contextlib.closing(sqlite3.connect(path)) as database:
        return list(database.iterdump())


def migrating(new_job, version):
    """The job as that version left it."""
    job = new_job(SCRIPT)
    job.version = version
    for folder in (job.checkpoints, job.project):
        folder.mkdir(mode=0o700)
    with contextlib.closing(sqlite3.connect(job.database)) as database:
        database.executescript("PRAGMA page_size = 8192; PRAGMA journal_mode = WAL;")
        database.executescript((FIXTURES / f"checkpoint-{version}.sql").read_text())
    (job.project / "effects").write_text("one\n")
    (job.project / "stays").write_text("x\n")
    job.own(job.checkpoints, job.project, job.database, job.project / "effects", job.project / "stays")
    return job


@pytest.fixture
def old(new_job, request):
    return migrating(new_job, request.param)


@pytest.mark.parametrize("old", VERSIONS, indirect=True)
def test_a_job_of_an_older_version_goes_on(old):
    before = dump(old.database)
    rows = [line for line in before if line.startswith('INSERT INTO "event"')]
    journal = end_well(old)
    assert old.file("effects") == "one\ntwo\n" and old.status()["calls"]["interrupted"] == 1
    assert len(journal.events) > len(rows) and journal.events[len(rows)].kind == "acquired"
    assert old.agent("verify").returncode == 0
    assert [(event["call"], event["how"]) for event in journal.of("background_ended")] == [
        (call, "lost") for call in OPEN[old.version]]
    # What it was before is there as a copy.
    copies = list(old.checkpoints.glob("job_job-1.db.v*"))
    assert len(copies) == 1 and dump(copies[0]) == before and copies[0].stat().st_mode & 0o077 == 0


def loop(job, **fault):
    """`agentd loop` alone, with a fault; its exit code."""
    command = [word.removesuffix("agent-init") + "agentd" if word.endswith("/agent-init") else word
               for word in job.command("loop")]
    code = subprocess.run(command, env=job.settings | fault_points.settings(**fault), cwd="/", stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=STEP_HANGS).returncode
    job.kill()
    return code


def test_killed_anywhere_in_the_migration_it_is_made_by_the_next_start(new_job):
    job = migrating(new_job, VERSIONS[-1])
    before = dump(job.database)
    files = {path: path.read_bytes() for path in [job.database]}
    log = fault_points.log_file(job.root)
    assert loop(job, log=log) == 0
    # The copy is synced, renamed, its folder synced; then the migration is committed, and the job taken over.
    points = [point for point in fault_points.points(log) if point.split()[1] in ("new", "wal", "folder", "database")]
    points = points[:points.index("fdatasync wal 2") + 1]
    assert len(points) > 6
    for point in points[::3]:
        for path in job.checkpoints.glob("job_job-1*"):
            path.unlink()
        for path, data in files.items():
            path.write_bytes(data)
            job.own(path)
        # Output of calls that the journal does not know would be a sign of a journal put back.
        shutil.rmtree(job.outputs, ignore_errors=True)
        assert loop(job, at=point) == -signal.SIGKILL, point
        looked = job.agent("verify")
        assert looked.returncode == 0, (point, looked.stdout)
        job.serve(SCRIPT)
        assert loop(job) == 0, point
        assert job.agent("verify").returncode == 0
        copies = list(job.checkpoints.glob("job_job-1.db.v*"))
        assert len(copies) == 1 and dump(copies[0]) == before, (point, copies)


@pytest.mark.parametrize("old", VERSIONS, indirect=True)
def test_a_look_at_a_job_of_an_older_version_changes_nothing(old):
    before = dump(old.database)
    assert old.status()["step"] == 3
    assert old.agent("verify").returncode == 0, old.agent("verify").stdout
    assert old.agent("export").returncode == 0
    assert dump(old.database) == before


def test_the_newest_version_has_no_fixture_yet_or_is_the_last():
    """A new version needs a fixture of the one before it, or nobody tries the way from there."""
    source = (pathlib.Path(__file__).resolve().parents[2] / "Sources/Stores/Schema.swift").read_text()
    version = int(source.split("static let version: Int64 = ")[1].split("\n")[0])
    assert VERSIONS[:version - 1] == list(range(1, version))
