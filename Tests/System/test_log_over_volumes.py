"""The log of a job that goes on from a snapshot on another volume, where the gateway's spool is new."""

import shutil

import pytest

import nats_process
from job_ends import end_well
from job_nats import check_events, check_log, client, nats, stored, with_nats
from test_snapshots import WAITS, Objects, new_volume, restore

pytestmark = pytest.mark.skipif(nats_process.program() is None, reason="nats-server is not installed")


def marks(records):
    """What tells the events of the journal in the log from each other, in whatever history of the job."""
    return [(one["attributes"]["journal.seq"], one["timestamp"], one["attributes"]["event.name"])
            for one in records if one["stream"] == "journal"]


def test_after_a_clean_stop_every_event_is_there_once(new_job, nats, client):
    job = with_nats(new_job, nats, WAITS)
    Objects(job)
    run = job.start()
    run.until("the second command", lambda: job.file("effects") == "one\ntwo\n")
    assert run.stop().code == 143
    published = len(stored(client, "logs", job))
    lost = new_volume(job)
    assert restore(job)["outcome"] == "restored"
    shutil.rmtree(job.project, ignore_errors=True)
    shutil.copytree(lost / "project", job.project)
    job.own(job.project, *job.project.rglob("*"))
    end_well(job)
    assert len(check_log(client, job)) > published
    types = check_events(client, job)
    assert types.count("agent.task.received") == 1 and types.count("agent.completed") == 1


def test_after_the_loss_of_a_volume_no_event_is_published_twice_and_the_log_says_where_it_goes_on(new_job, nats, client):
    job = with_nats(new_job, nats, WAITS)
    objects = Objects(job)
    run = job.start()
    run.until("the second command", lambda: job.file("effects") == "one\ntwo\n")
    last = job.ask("SELECT seq FROM head")[0]
    run.until("all is published", lambda: marks(stored(client, "logs", job))[-1][0] == last)
    job.kill()
    before = stored(client, "logs", job)
    snapshot = objects.manifests()[-1]["seq"]
    assert snapshot < last
    new_volume(job)
    restore(job)
    job.change(AGENT_INPUT_WAIT_SECONDS="0")
    assert job.run().code == 75
    records = stored(client, "logs", job)
    assert records[:len(before)] == before
    assert [record["seq"] for record in records] == list(range(1, len(records) + 1))
    assert len(set(marks(records))) == len(marks(records))
    [rewound] = [one for one in records if one["attributes"].get("event.name") == "journal_rewound"]
    assert f"event {last} was shipped" in rewound["body"] and f"from event {snapshot + 1} on" in rewound["body"]
    # From there on it is the journal as it is now.
    events = [one for one in records[rewound["seq"]:] if one["stream"] == "journal"]
    assert [one["attributes"]["journal.seq"] for one in events] == [e.seq for e in job.journal().events if e.seq > snapshot]
    assert any(one["attributes"]["event.name"] == "restored" for one in events)
