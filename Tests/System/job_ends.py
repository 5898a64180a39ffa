"""How a job ends, and all that must hold of such an end: what the tests of whole jobs share."""

import contextlib
import hashlib
import json
import pathlib
import sqlite3

from job import KEY


def end_well(job, forgot=False, **options):
    """Runs the job to its verified end and checks all that must hold of every such end. `forgot`: its checkpoint was put
    back from a backup, so that requests were sent of which it knows nothing."""
    ended = job.run(**options)
    assert ended.code == 0, ended
    assert ended.message["outcome"] == "completed" and ended.message["exit_code"] == 0
    assert job.refusals() == []
    journal = job.journal()
    journal.check(model=None if forgot else job.model.log())
    status = job.status()
    assert status["status"] == "completed"
    assert (status["step"], status["seq"], status["epoch"]) == (
        journal.spent["steps"], journal.head["seq"], journal.head["epoch"])
    assert KEY not in ended.said + json.dumps(ended.message)
    return journal


def end_failed(job, outcome, *words):
    """Runs the job to its end without success, and checks that it says why, and that it stays so."""
    ended = job.run()
    assert (ended.code, ended.message["outcome"], ended.message["exit_code"]) == (1, outcome, 1), ended
    for word in words:
        assert word in ended.message["reason"]
    status = job.status()
    assert status["status"] == outcome and status["reason"] == ended.message["reason"]
    journal = job.journal()
    journal.check(model=job.model.log())
    asked = len(job.model.log())
    assert job.run().code == 1, "an ended job does not begin again"
    assert len(job.model.log()) == asked
    return journal


def refuse(job, code, outcome, *words, **options):
    """Runs the job, which must end with that code and say these words to people and in the termination message."""
    ended = job.run(**options)
    assert ended.code == code, ended
    assert ended.message, f"no termination message: {ended.said}"
    assert (ended.message["exit_code"], ended.message["outcome"]) == (code, outcome)
    for word in words:
        assert word in ended.said, f"{word!r} is not in what it said: {ended.said}"
        assert word in ended.message["reason"], f"{word!r} is not in the reason: {ended.message['reason']}"
    # A trap or an uncaught error is no message.
    assert "Fatal error" not in ended.said and "Error raised" not in ended.said
    return ended


def digests(folder):
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def folded(job):
    """Folds the WAL into the database, so that damage to the file is not hidden by it."""
    with contextlib.closing(sqlite3.connect(job.database)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for suffix in ("-wal", "-shm"):
        pathlib.Path(f"{job.database}{suffix}").unlink(missing_ok=True)
