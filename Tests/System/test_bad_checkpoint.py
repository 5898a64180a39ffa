"""A bad checkpoint and a bad machine: each said by name, with the documented exit code, and nothing lost."""

import contextlib
import os
import pathlib
import shutil
import socket
import sqlite3
import subprocess
import sys
import time

import pytest

from job import UID
from job_ends import digests, end_well, folded, refuse
from turns import SMALL_JOB, call, complete, done, execute, job_of, plan, turn


WITH_FILTER = [sys.executable, str(pathlib.Path(__file__).resolve().parent / "with_filter.py")]
LANDLOCK_CREATE_RULESET, ENOSYS = 444, 38


# MARK: The checkpoint


def with_a_checkpoint(new_job):
    """A job that was killed after some steps."""
    once = "[ -e stays ] || { echo x > stays; sleep 600; }"
    job = new_job(job_of(turn(execute("seq 1 20000")), turn(execute(once, timeout_seconds=600)), deliverables=["stays"]))
    job.start().until("some steps", lambda: job.file("stays") == "x\n")
    job.kill()
    return job


def overwrite(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


DAMAGES = {
    "no database at all": lambda path: path.write_bytes(b"This is not a database.\n" * 500),
    "an empty file": lambda path: path.write_bytes(b""),
    "cut in half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "a page overwritten": lambda path: overwrite(path, path.stat().st_size // 8192 // 2 * 8192, b"\xff" * 8192),
    "its header overwritten": lambda path: overwrite(path, 0, b"\0" * 100),
    "tables of another program": lambda path: other_tables(path),
    "a newer version": lambda path: change(path, "UPDATE meta SET schema_version = 99"),
    "a gap in the journal": lambda path: change(path, "DELETE FROM event WHERE seq = 3"),
    "an event of an unknown kind": lambda path: change(path, "UPDATE event SET kind = 'dreamt' WHERE seq = 4"),
    "a body that is no JSON": lambda path: change(path, "UPDATE event SET body = '{' WHERE seq = 4"),
    "another body that could be": lambda path: change(path, "UPDATE event SET body = replace(body, 'a', 'b') WHERE seq = 4"),
    "an epoch that went back": lambda path: change(path, "UPDATE head SET epoch = 0"),
    "its head gone": lambda path: change(path, "DELETE FROM head"),
}


def change(path, statement):
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(statement)
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def other_tables(path):
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE shopping (item TEXT)")
    os.chown(path, UID, -1)


def damaged(new_job, damage, backups):
    """A job whose checkpoint has that damage, with the backups of its phases or without any."""
    job = with_a_checkpoint(new_job)
    folded(job)
    DAMAGES[damage](job.database)
    if not backups:
        for path in job.checkpoints.glob("*.backup*"):
            path.unlink()
    for path in job.checkpoints.glob(f"{job.database.name}*"):
        job.own(path)
    return job


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_without_a_backup_is_refused_and_left_as_it_is(new_job, damage):
    job = damaged(new_job, damage, backups=False)
    before = digests(job.checkpoints)[str(job.database)]
    asked = len(job.model.log())
    refuse(job, 65, "checkpoint_unusable", str(job.database))
    assert digests(job.checkpoints)[str(job.database)] == before, "the damaged file was changed"
    wal = pathlib.Path(f"{job.database}-wal")
    assert not wal.exists() or wal.stat().st_size == 0, "the damaged checkpoint was written to"
    assert len(job.model.log()) == asked, "it went on in spite of it"
    assert job.file("stays") == "x\n"
    # Not healed by a second try either.
    refuse(job, 65, "checkpoint_unusable", str(job.database))


@pytest.mark.parametrize("damage", [name for name in DAMAGES if name != "a newer version"])
def test_a_damaged_checkpoint_is_set_aside_and_its_backup_asks_before_it_goes_on(new_job, damage):
    job = damaged(new_job, damage, backups=True)
    broken = job.database.read_bytes()
    asked = len(job.model.log())
    job.change(AGENT_INPUT_WAIT_SECONDS="0")
    ended = job.run()
    assert ended.code == 75 and len(job.model.log()) == asked, ended
    restored = [one for one in ended.records if one["attributes"].get("event.name") == "restored"]
    assert len(restored) == 1 and restored[0]["severity_text"] == "ERROR"
    aside = pathlib.Path(restored[0]["attributes"]["file.path"])
    assert aside.read_bytes() == broken, "the damaged file is kept as it was"
    assert "put back from a backup" in ended.message["reason"]
    journal = job.journal()
    journal.check()
    assert [event.kind for event in journal.events].count("restored") == 1
    assert job.agent("verify").returncode == 0
    # It goes on asking, and does not restore again.
    assert job.run().code == 75 and len(job.journal().of("restored")) == 1


def test_it_goes_on_by_itself_from_a_backup_if_it_is_told_to(new_job):
    job = damaged(new_job, "no database at all", backups=True)
    job.change(AGENT_AFTER_RESTORE="continue")
    journal = end_well(job, forgot=True)
    assert len(journal.of("restored")) == 1
    told = [request["last_text"] for request in job.model.log() if "put back from a backup" in request.get("last_text", "")]
    assert told, "the model knows that things may have happened"


def test_a_backup_that_is_damaged_too_gives_way_to_the_one_before(new_job):
    job = damaged(new_job, "no database at all", backups=True)
    newest = pathlib.Path(f"{job.database}.backup")
    overwrite(newest, 4096, b"\xff" * 20000)
    job.change(AGENT_AFTER_RESTORE="continue")
    journal = end_well(job, forgot=True)
    assert journal.of("restored")[0]["seq"] < 10, "the backup before it ends at the opening"


def test_a_checkpoint_that_is_gone_while_a_backup_is_there_is_no_new_job(new_job):
    job = with_a_checkpoint(new_job)
    for suffix in ("", "-wal", "-shm"):
        pathlib.Path(f"{job.database}{suffix}").unlink()
    job.change(AGENT_AFTER_RESTORE="continue")
    journal = end_well(job, forgot=True)
    assert len(journal.of("restored")) == 1 and len(journal.of("task_received")) == 1


@pytest.mark.parametrize("seed", range(4))
def test_killed_while_it_restores_it_restores_once(new_job, seed):
    job = damaged(new_job, "no database at all", backups=True)
    job.change(AGENT_AFTER_RESTORE="continue")
    for delay in (0.01 + 0.01 * seed, 0.04 + 0.01 * seed):
        run = job.start()
        time.sleep(delay)
        job.kill()
    journal = end_well(job, forgot=True)
    assert len(journal.of("restored")) == 1
    assert job.agent("verify").returncode == 0


def test_a_checkpoint_with_a_damaged_wal_keeps_what_was_committed_before_and_says_what_is_lost(new_job):
    # SQLite ends a WAL at the first frame whose checksum is wrong: a torn tail is what a power loss leaves.
    job = with_a_checkpoint(new_job)
    wal = pathlib.Path(f"{job.database}-wal")
    assert wal.stat().st_size > 8192
    os.truncate(wal, wal.stat().st_size - 100)
    job.change(AGENT_AFTER_RESTORE="continue")
    journal = end_well(job, forgot=True)
    restored, = journal.of("restored")
    assert "a process of the job had come to event" in restored["reason"]


def test_a_checkpoint_that_is_gone_while_its_wal_is_there(new_job):
    job = with_a_checkpoint(new_job)
    for path in job.checkpoints.glob("*.backup*"):
        path.unlink()
    job.database.rename(job.root / "moved.db")
    wal = pathlib.Path(f"{job.database}-wal")
    before = wal.read_bytes()
    refuse(job, 65, "checkpoint_unusable", str(job.database), "-wal")
    assert wal.read_bytes() == before and not job.database.exists()
    # Put back, it goes on.
    (job.root / "moved.db").rename(job.database)
    end_well(job)


def test_another_jobs_checkpoint(new_job):
    job = with_a_checkpoint(new_job)
    folded(job)
    other = job.checkpoints / "job_job-2.db"
    shutil.copy(job.database, other)
    job.own(other)
    before = other.read_bytes()
    job.change(JOB_ID="job-2")
    refuse(job, 65, "checkpoint_unusable", str(other), "job-1", "job-2")
    assert other.read_bytes() == before
    job.change(JOB_ID="job-1")
    end_well(job)


def test_a_checkpoint_whose_mode_was_taken_away_gets_it_back(new_job):
    """A command can do that: it runs under the same user, and Landlock has no hook for chmod."""
    job = with_a_checkpoint(new_job)
    for path in job.checkpoints.iterdir():
        path.chmod(0)
    job.checkpoints.chmod(0)
    end_well(job)
    assert {path.stat().st_mode & 0o777 for path in job.checkpoints.glob("*.db*")} == {0o600}


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_a_checkpoint_of_another_user(new_job):
    job = with_a_checkpoint(new_job)
    folded(job)
    os.chown(job.database, 4242, 4242)
    job.database.chmod(0o600)
    refuse(job, 78, "configuration", str(job.database), f"UID {UID}")
    job.own(job.database)
    end_well(job)


def moved(job, way):
    """Puts something else in the place of the checkpoint; returns where that is now."""
    folded(job)
    away = job.root / "moved.db"
    job.database.rename(away)
    if way == "a folder":
        job.database.mkdir()
    else:
        job.database.symlink_to(away if way == "a symbolic link" else job.root / "nowhere")
    return away


@pytest.mark.parametrize("way", ["a folder", "a symbolic link", "a symbolic link to nothing"])
def test_something_else_in_the_place_of_the_checkpoint_is_no_new_job(new_job, way):
    job = with_a_checkpoint(new_job)
    away = moved(job, way)
    asked = len(job.model.log())
    refuse(job, 78, "configuration", str(job.database), "put the checkpoint itself there")
    assert len(job.model.log()) == asked
    if job.database.is_symlink():
        job.database.unlink()
    else:
        job.database.rmdir()
    away.rename(job.database)
    end_well(job)


def test_a_checkpoint_that_is_gone_with_its_backups_is_no_new_job(new_job):
    job = with_a_checkpoint(new_job)
    for path in job.checkpoints.glob(f"{job.database.name}*"):
        path.unlink()
    asked = len(job.model.log())
    refuse(job, 65, "checkpoint_unusable", str(job.database), "is gone", "job_job-1.reserve")
    assert not job.database.exists() and len(job.model.log()) == asked


# MARK: The machine


def test_no_landlock(new_job):
    job = new_job(SMALL_JOB)
    refuse(job, 77, "not_permitted", "Landlock",
           under=[*WITH_FILTER, f"{LANDLOCK_CREATE_RULESET}={ENOSYS}", "--"])
    assert job.model.log() == [], "nothing was spent"
    assert not job.file("result")
    assert not job.database.exists(), "a checkpoint was made before the jail was proved"
    end_well(job)


def test_no_landlock_any_more_in_the_middle_of_a_job(new_job):
    # The pod is rescheduled to an older node.
    job = with_a_checkpoint(new_job)
    before = job.journal()
    refuse(job, 77, "not_permitted", "Landlock",
           under=[*WITH_FILTER, f"{LANDLOCK_CREATE_RULESET}={ENOSYS}", "--"])
    journal = job.journal()
    journal.check(before=before)
    end_well(job)


def test_the_port_is_in_use(new_job):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        job = new_job(job_of(turn(execute("true")), turn(execute("true"), delay_ms=1000)),
                      AGENT_LISTEN=f"127.0.0.1:{port}")
        refuse(job, 78, "configuration", "AGENT_LISTEN", str(port))
    # Any that is free: that one may be somebody else's by now.
    job.change(AGENT_LISTEN="127.0.0.1:0")
    end_well(job)


@pytest.mark.parametrize("way", ["closed", "a pipe nobody reads", "a full pipe", "/dev/full"])
def test_a_standard_output_that_takes_nothing_stops_no_job(new_job, way):
    job = new_job(SMALL_JOB)
    options = {}
    with contextlib.ExitStack() as open_files:
        if way == "closed":
            job.command = closing(job.command)
        elif way == "/dev/full":
            options["stdout"] = options["stderr"] = open_files.enter_context(open("/dev/full", "wb"))
        else:
            reader, writer = os.pipe()
            if way == "a full pipe":
                open_files.callback(os.close, reader)
                os.set_blocking(writer, False)
                with contextlib.suppress(BlockingIOError):
                    while True:
                        os.write(writer, b"x" * 4096)
                os.set_blocking(writer, True)
            else:
                os.close(reader)
            open_files.callback(os.close, writer)
            options["stdout"] = options["stderr"] = writer
        ended = job.run(**options)
    assert (ended.code, ended.message["outcome"]) == (0, "completed")
    assert job.file("result") == "42\n" and job.refusals() == []
    job.journal().check(model=job.model.log())


def closing(command):
    """The command with its stdin, stdout and stderr closed."""
    return lambda *arguments, **options: ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command(*arguments, **options)]


def test_a_termination_log_that_cannot_be_written_stops_no_job(new_job):
    job = new_job(SMALL_JOB, AGENT_TERMINATION_LOG="/nonexistent/folder/log")
    ended = job.start().wait()
    assert ended.code == 0 and "/nonexistent/folder/log" in ended.err


def test_a_tree_without_agentd_beside_agent_init(new_job, tmp_path):
    job = new_job()
    alone = job.root / "alone"
    alone.mkdir()
    shutil.copy(job.command()[-1], alone)
    for arguments in (["run"], ["status"]):
        done = subprocess.run([alone / "agent-init", *arguments], env=job.settings, capture_output=True, text=True,
                              timeout=20)
        assert done.returncode == 70 and "agentd" in done.stderr


def test_a_task_with_unusual_characters_arrives_as_it_is(new_job):
    task = "Zeile 1\n\tZeile 2 — „quoted“ \\ \" 😄 \u2028 end"
    job = new_job({"turns": [plan("Work"), turn(done("t1"), call("write_file", path="out", content=task)),
                             complete("out")]}, AGENT_TASK=task)
    end_well(job)
    assert task in job.told(0) and job.file("out") == task
