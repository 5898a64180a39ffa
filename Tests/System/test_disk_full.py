"""A volume that is full: the job stops with the reason, keeps what was done, and goes on by itself when there is room."""

import os
import signal

import pytest

from job_ends import end_well, folded, refuse
from small_disk import SmallDisk
from turns import call, execute, job_of, turn

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="mounts a small volume: needs root")

WAITS = "echo one >> effects; until [ -e ../home/go ]; do sleep 0.02; done; seq 1 300"
SCRIPT = job_of(turn(execute(WAITS, timeout_seconds=600)), turn(execute("echo two >> effects")),
                turn(call("write_file", path="three", content="3\n")), deliverables=["three"])


@pytest.fixture
def disk(new_job):
    disk = SmallDisk(new_job(SCRIPT, AGENT_DISK_RESERVE_MIB="0"))
    yield disk
    disk.close()


def begun(disk):
    """A run whose first command waits for `go`."""
    run = disk.job.start()
    run.until("the command runs", lambda: disk.job.file("effects") == "one\n")
    return run


def go(disk):
    # On a full volume an empty file may be one too many, too; a folder entry of the home that is there already is none.
    (disk.job.workspace / "home").mkdir(exist_ok=True)
    (disk.job.workspace / "home/go").touch()


def stopped_for_room(run, disk):
    """The run has stopped because of the disk, and said so everywhere. Returns its journal."""
    ended = run.wait()
    assert (ended.code, ended.message["outcome"]) == (75, "disk_full"), ended
    for words in (str(disk.job.database), "is full", "MiB are free"):
        assert words in ended.message["reason"] and words in ended.err
    journal = disk.job.journal()
    journal.check()
    assert journal.head["status"] == "needs_input"
    last = [event for event in journal.of("status_changed") if event.get("cause") == "disk_full"]
    assert len(last) == 1, "it is said once in the journal"
    return journal


def goes_on(disk, before, interrupted=0):
    """With room again it goes on by itself, to the end, and has done each thing once."""
    disk.empty()
    journal = end_well(disk.job)
    assert [event.row for event in journal.events[:len(before.events)]] == [event.row for event in before.events]
    assert disk.job.file("effects") == "one\ntwo\n" and disk.job.file("three") == "3\n"
    assert disk.job.status()["calls"]["interrupted"] == interrupted
    assert disk.job.agent("verify").returncode == 0
    assert (disk.job.checkpoints / "job_job-1.reserve").stat().st_blocks * 512 >= 8 << 20
    return journal


def test_a_result_that_finds_no_room_is_kept_in_the_reserve(disk):
    run = begun(disk)
    disk.fill()
    go(disk)
    journal = stopped_for_room(run, disk)
    assert journal.results("execute")["2.0"]["outcome"] == "done", "what was done is not lost"
    assert "300\n" in journal.results("execute")["2.0"]["content"]
    assert not (disk.job.checkpoints / "job_job-1.reserve").exists()
    assert len(journal.requests) == 2, "nothing new was begun"
    goes_on(disk, journal)


def test_an_answer_of_the_model_that_finds_no_room_is_kept_and_not_asked_for_again(disk):
    run = begun(disk)
    disk.job.model.process.send_signal(signal.SIGSTOP)
    go(disk)
    run.until("the model is asked", lambda: disk.job.ask("SELECT max(turn) FROM llm WHERE state = 'intent'")[0] == 3)
    disk.fill()
    disk.job.model.process.send_signal(signal.SIGCONT)
    journal = stopped_for_room(run, disk)
    assert journal.requests[-1]["state"] == "done" and journal.calls[-1]["state"] == "intent"
    assert disk.job.file("effects") == "one\n"
    journal = goes_on(disk, journal)
    assert not any(row["state"] == "lost" for row in journal.requests)


def test_without_room_a_start_says_so_and_leaves_the_job_as_it_is(disk):
    run = begun(disk)
    disk.fill()
    go(disk)
    journal = stopped_for_room(run, disk)
    disk.fill()
    asked = len(disk.job.model.log())
    for _ in range(2):
        refuse(disk.job, 75, "disk_full", "is full", str(disk.job.database))
        assert len(disk.job.journal().events) == len(journal.events), "a job that waits for room does not grow"
    status = disk.job.status()
    assert status["status"] == "needs_input" and "is full" in status["reason"]
    assert "is full" in disk.job.agent("history").stdout + disk.job.agent("status").stdout
    assert len(disk.job.model.log()) == asked
    goes_on(disk, journal)


def test_a_new_job_on_a_full_volume_spends_nothing(disk):
    disk.fill()
    refuse(disk.job, 75, "disk_full", "is full", "0 of 32 MiB are free")
    assert disk.job.model.log() == []
    # Room for its folders and a checkpoint, but not for the reserve.
    os.truncate(disk.filler, disk.filler.stat().st_size - (4 << 20))
    journal = stopped_for_room(disk.job.start(), disk)
    assert [event.kind for event in journal.events] == ["acquired", "status_changed"]
    assert disk.job.model.log() == []
    disk.empty()
    go(disk)
    end_well(disk.job)
    assert disk.job.file("effects") == "one\ntwo\n"


def test_killed_and_started_on_a_full_volume_it_stops_within_the_reserve(disk):
    begun(disk)
    disk.job.kill()
    # A -wal that is there has room that can be used again.
    folded(disk.job)
    disk.fill()
    before = disk.job.journal()
    journal = stopped_for_room(disk.job.start(), disk)
    assert [event.kind for event in journal.events[len(before.events):]] == ["acquired", "status_changed"]
    go(disk)
    goes_on(disk, journal, interrupted=1)


def test_a_command_that_fills_the_volume_is_told_and_its_job_goes_on(new_job):
    script = job_of(turn(execute("head -c 100M /dev/zero > big; echo one >> ../home/effects; echo \"ended with $?\"")),
                    turn(execute("echo two >> effects")),
                    turn(call("write_file", path="three", content="3\n")), deliverables=["three"])
    disk = SmallDisk(new_job(script, AGENT_DISK_RESERVE_MIB="0"))
    try:
        journal = stopped_for_room(disk.job.start(), disk)
        assert "No space left on device" in journal.results("execute")["2.0"]["content"]
        (disk.job.project / "big").unlink()
        (disk.job.project / "effects").write_text("one\n")
        disk.job.own(disk.job.project / "effects")
        disk.filler.touch()
        goes_on(disk, journal)
    finally:
        disk.close()


def test_a_background_command_ends_with_the_stop_and_the_model_knows(new_job):
    script = job_of(turn(execute("echo up; sleep 600", background=True), execute(WAITS, timeout_seconds=600)),
                    turn(execute("echo two >> effects")), turn(call("write_file", path="three", content="3\n")),
                    deliverables=["three"])
    disk = SmallDisk(new_job(script, AGENT_DISK_RESERVE_MIB="0"))
    try:
        run = begun(disk)
        disk.fill()
        go(disk)
        journal = stopped_for_room(run, disk)
        assert [(event["call"], event["how"]) for event in journal.of("background_ended")] == [("2.0", "stopped")]
        goes_on(disk, journal)
        assert "2.0" in disk.job.told(2)
    finally:
        disk.close()


def test_each_record_of_the_log_is_there_once_though_the_spool_was_full_too(disk):
    run = begun(disk)
    disk.fill()
    go(disk)
    before = stopped_for_room(run, disk)
    journal = goes_on(disk, before)
    records = [record for one in disk.job.runs for record in one.wait().records if record["stream"] == "journal"]
    assert [record["attributes"]["journal.seq"] for record in records] == list(range(1, len(journal.events) + 1))
    assert [record["severity_text"] for record in records if record["attributes"].get("status") == "needs_input"]
