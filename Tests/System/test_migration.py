"""A checkpoint of every schema version that there ever was is taken over: Tests/System/fixtures/checkpoint-N.sql is a
dump of a job that a program of version N wrote and that was killed in a command. Never change one; add the next."""

import contextlib
import pathlib
import sqlite3

import pytest

from job_ends import end_well
from turns import call, execute, job_of, turn

FIXTURES = pathlib.Path(__file__).with_name("fixtures")
VERSIONS = sorted(int(path.stem.split("-")[1]) for path in FIXTURES.glob("checkpoint-*.sql"))
OPEN = {1: [], 2: ["3.0"]}
"""The commands that ran in the background when a fixture's job was killed."""
SCRIPT = job_of(turn(execute("echo one >> effects; seq 1 3000"), call("read_file", path="effects")),
                turn(execute("[ -e stays ] || { echo x > stays; sleep 600; }", timeout_seconds=600)),
                turn(execute("echo two >> effects")), deliverables=["stays"])


def dump(path):
    with contextlib.closing(sqlite3.connect(path)) as database:
        return list(database.iterdump())


@pytest.fixture
def old(new_job, request):
    """The job as that version left it."""
    job = new_job(SCRIPT)
    job.version = request.param
    for folder in (job.checkpoints, job.project):
        folder.mkdir(mode=0o700)
    with contextlib.closing(sqlite3.connect(job.database)) as database:
        database.executescript("PRAGMA page_size = 8192; PRAGMA journal_mode = WAL;")
        database.executescript((FIXTURES / f"checkpoint-{request.param}.sql").read_text())
    (job.project / "effects").write_text("one\n")
    (job.project / "stays").write_text("x\n")
    job.own(job.checkpoints, job.project, job.database, job.project / "effects", job.project / "stays")
    return job


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
