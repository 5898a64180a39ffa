"""Bits that flip on the disk, in every kind of page and of frame: noticed, or without effect; never a wrong state.

What is read of a damaged copy is compared with the whole journal as it was: `verify` finds the damage, or the copy says
the same, or (a -wal that ends earlier, as after a power loss) the same up to an earlier commit.
"""

import collections
import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import sqlite3
import struct
import subprocess

import pytest

from job import STEP_HANGS, UID
from job_ends import folded, refuse
from turns import call, execute, job_of, turn

PAGE, FRAME = 8192, 8192 + 24
KINDS = {2: "index, interior", 5: "table, interior", 10: "index, leaf", 13: "table, leaf"}
SCRIPT = job_of(
    *[turn(call("write_file", path="grows", content=f"{number}\n"), *[execute(f"seq {number}{place} 2600") for place in range(3)])
      for number in range(1, 9)],
    turn(execute("[ -e stays ] || { echo x > stays; sleep 600; }", timeout_seconds=600)), deliverables=["stays"])


@pytest.fixture(scope="module")
def killed(request):
    """A job of some length that was killed in a command, with its newest commits in the -wal."""
    from job import Job
    with Job(SCRIPT) as job:
        job.start().until("the last command", lambda: job.file("stays") == "x\n")
        job.kill()
        yield job


@pytest.fixture
def copy(killed, tmp_path):
    """A copy of its checkpoint's folder that may be damaged."""
    folder = tmp_path / "checkpoints"
    shutil.copytree(killed.checkpoints, folder)
    return Copy(killed, folder)


class Copy:
    def __init__(self, job, folder):
        self.job, self.folder = job, folder
        self.database, self.wal = folder / job.database.name, folder / (job.database.name + "-wal")
        self.settings = {**job.settings, "WORKSPACE_PATH": str(folder.parent)}

    def look(self, *words):
        command = [word for word in self.job.command(*words) if "setpriv" not in word and not word.startswith("--re")
                   and word != "--clear-groups"]
        return subprocess.run(command, env=self.settings, cwd="/", capture_output=True, timeout=STEP_HANGS)

    def with_files(self, database=None, wal=None):
        """Puts these bytes in place; None: there is no such file."""
        for path, data in ((self.database, database), (self.wal, wal)):
            path.unlink(missing_ok=True)
            if data is not None:
                path.write_bytes(data)
        pathlib.Path(f"{self.database}-shm").unlink(missing_ok=True)

    def exported(self):
        return self.look("export").stdout.splitlines()


def pages(path):
    """The pages of a database file by kind, numbered from 1; what no b-tree's page is, is told by who points to it."""
    data = path.read_bytes()
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as database:
        kinds = {1: "header and schema"}
        free = struct.unpack(">I", data[32:36])[0]
        while free:
            kinds[free] = "free list"
            following, count = struct.unpack(">II", data[(free - 1) * PAGE:(free - 1) * PAGE + 8])
            for index in range(count):
                kinds[struct.unpack_from(">I", data, (free - 1) * PAGE + 8 + 4 * index)[0]] = "free"
            free = following
        with contextlib.suppress(sqlite3.OperationalError):
            for number, kind in database.execute("SELECT pageno, pagetype FROM dbstat WHERE pagetype = 'overflow'"):
                kinds[number] = kind
    for number in range(2, len(data) // PAGE + 1):
        if number not in kinds:
            kinds[number] = KINDS.get(data[(number - 1) * PAGE], "overflow")
    found = collections.defaultdict(list)
    for number, kind in kinds.items():
        found[kind].append(number)
    return found


def flipped(data, offset, bit):
    changed = bytearray(data)
    changed[offset] ^= 1 << bit
    return bytes(changed)


def test_a_flipped_bit_in_any_kind_of_page_is_noticed_or_without_effect(copy):
    with contextlib.closing(sqlite3.connect(copy.database)) as database:
        # A free list: what a large row that is gone leaves behind.
        database.execute("INSERT INTO blob VALUES ('gone', ?)", ("x" * 100_000,))
        database.commit()
        database.execute("DELETE FROM blob WHERE sha256 = 'gone'")
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    good = copy.database.read_bytes()
    found = pages(copy.database)
    assert {"header and schema", "table, interior", "table, leaf", "index, leaf", "overflow", "free list"} <= set(found), found
    copy.with_files(good)
    before = copy.exported()
    assert copy.look("verify").returncode == 0 and len(before) > 80
    chance, verdicts = random.Random(5), collections.Counter()
    for kind, numbers in found.items():
        for _ in range(14):
            offset, bit = (chance.choice(numbers) - 1) * PAGE + chance.randrange(PAGE), chance.randrange(8)
            copy.with_files(flipped(good, offset, bit))
            verified = copy.look("verify")
            assert verified.returncode in (0, 65, 78), (kind, offset, bit, verified)
            if verified.returncode == 0:
                assert copy.exported() == before, f"unnoticed: {kind}, byte {offset}, bit {bit}"
            verdicts[kind, verified.returncode] += 1
    print(dict(verdicts))
    assert sum(count for (_, code), count in verdicts.items() if code) > 10


def test_a_flipped_bit_in_the_text_of_an_event_is_damage_to_the_owner_too(killed, new_job):
    """SQLite has nothing to say about it: the text is a text."""
    job = new_job(SCRIPT)
    shutil.copytree(killed.checkpoints, job.checkpoints)
    folded(job)
    for path in [job.checkpoints, *job.checkpoints.rglob("*")]:
        job.own(path)
    data, words = job.database.read_bytes(), b"Do what the script says"
    for match in re.finditer(words, data):
        job.database.write_bytes(flipped(data, match.start() + 3, 1))
        with contextlib.closing(sqlite3.connect(job.database)) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            if words.decode() not in database.execute("SELECT body FROM event WHERE seq = 2").fetchone()[0]:
                break
    else:
        pytest.fail("the text of the event is not in the file")
    for path in job.checkpoints.glob("*.backup*"):
        path.unlink()
    refuse(job, 65, "checkpoint_unusable", str(job.database), "digest")


# MARK: The -wal


def frames(wal):
    """The numbers of the frames that end a commit, and of all, from 1."""
    count = (len(wal) - 32) // FRAME
    return [number for number in range(1, count + 1)
            if struct.unpack_from(">I", wal, 32 + (number - 1) * FRAME + 4)[0]], count


def exports_by_commit(copy, good, wal, ends):
    """What the journal says after each commit of the -wal."""
    result = {}
    for end in [0, *ends]:
        copy.with_files(good, wal[:32 + end * FRAME] if end else None)
        result[end] = copy.exported()
    return result


def test_a_wal_that_is_cut_or_torn_ends_at_its_last_whole_commit(copy):
    good, wal = copy.database.read_bytes(), copy.wal.read_bytes()
    ends, count = frames(wal)
    assert len(ends) > 20
    expected = exports_by_commit(copy, good, wal, ends[-6:])
    first = ends[-7]
    for number in range(ends[-6], count + 1):
        for size in (number * FRAME, number * FRAME - 100, (number - 1) * FRAME + 12):
            last = max((end for end in ends if end * FRAME <= size), default=0)
            if last <= first:
                continue
            copy.with_files(good, wal[:32 + size])
            assert copy.exported() == expected[last], f"cut at {size}, the last whole commit is {last}"
            assert copy.look("verify").returncode == 0


def test_a_flipped_bit_in_a_wal_is_noticed_unless_it_could_be_a_power_loss(copy):
    good, wal = copy.database.read_bytes(), copy.wal.read_bytes()
    ends, count = frames(wal)
    copy.with_files(good, wal)
    whole = copy.exported()
    chance = random.Random(7)
    places = [(number, 32 + (number - 1) * FRAME + offset) for number in chance.sample(range(1, count + 1), 30)
              for offset in (chance.choice([5, 9, 17, 21]), 24 + chance.randrange(PAGE))]
    unnoticed = 0
    for number, place in places:
        copy.with_files(good, flipped(wal, place, chance.randrange(8)))
        code, said = copy.look("verify").returncode, copy.exported()
        last = max((end for end in ends if end < number), default=0)
        beyond = [end for end in ends if end >= number]
        if code == 0 and said != whole:
            # Only the last commit may be gone: it looks as if it had been under way.
            assert len(beyond) <= 2, f"frame {number}: {len(beyond)} commits are lost, and nobody says so"
            assert said == whole[:len(said)]
            unnoticed += 1
    assert unnoticed < len(places) / 4


def test_a_wal_whose_header_is_gone_is_damage(copy):
    """Its commits are there, and nothing of it would be taken."""
    good, wal = copy.database.read_bytes(), copy.wal.read_bytes()
    for place in (1, 9, 18, 27):
        copy.with_files(good, flipped(wal, place, 2))
        assert copy.look("verify").returncode != 0, f"byte {place} of the header"


def test_the_owner_of_a_wal_that_is_damaged_in_the_middle_restores_a_backup_and_asks(killed, new_job):
    job = new_job(SCRIPT, AGENT_INPUT_WAIT_SECONDS="0")
    shutil.copytree(killed.checkpoints, job.checkpoints)
    shutil.copytree(killed.project, job.project)
    for path in [job.checkpoints, *job.checkpoints.rglob("*"), job.project, *job.project.rglob("*")]:
        job.own(path)
    wal = pathlib.Path(f"{job.database}-wal")
    data = wal.read_bytes()
    wal.write_bytes(flipped(data, 32 + 3 * FRAME + 1000, 3))
    ended = job.run()
    assert ended.code == 75 and "put back from a backup" in ended.message["reason"], ended
    aside = next(job.checkpoints.glob("*.damaged-*-wal"))
    assert aside.read_bytes() == flipped(data, 32 + 3 * FRAME + 1000, 3), "it is kept as it was"
    assert os.stat(aside).st_uid == UID
    job.change(AGENT_AFTER_RESTORE="continue")
    assert job.agent("verify").returncode == 0
    json.loads(job.agent("status", "--json").stdout)
