"""What the tests of a job with NATS share."""

import json
import random

import pytest

from job import eventually
from nats_client import NATS
from nats_process import NATSProcess


HELD = "echo begun >> effects; until [ -e ../home/go ]; do sleep 0.05; done"
"""A command that runs until the test lets it go on."""


@pytest.fixture
def nats(tmp_path):
    with NATSProcess(tmp_path / "nats") as server:
        yield server


@pytest.fixture
def client(nats):
    with NATS(nats.url) as connection:
        yield connection


def with_nats(new_job, nats, script, **settings):
    return new_job(script, NATS_URL=nats.url, AGENT_NATS_CREATE_STREAMS="true", **settings)


def go(job):
    (job.workspace / "home/go").touch()


def stored(client, kind, job):
    """Everything that JetStream keeps of the job on that subject, in order."""
    return [message for _, message in client.stored(f"{kind}.agent.{job.name}")]


def check_log(client, job):
    """Every record once, in order, without a gap; and in them every event of the journal, once and in order."""
    records = stored(client, "logs", job)
    assert [record["seq"] for record in records] == list(range(1, len(records) + 1))
    assert {record["job_id"] for record in records} == {job.name}
    of_journal = [record["attributes"] for record in records if record["stream"] == "journal"]
    journal = job.journal()
    assert [attributes["journal.seq"] for attributes in of_journal] == [event.seq for event in journal.events]
    assert [attributes["event.name"] for attributes in of_journal] == [event.kind for event in journal.events]
    times = [record["timestamp"] for record in records if record["stream"] == "journal"]
    assert times == sorted(times)
    return records


def check_events(client, job):
    """Every event once: CloudEvents with an id of their own, and each change of phase as the journal has it."""
    events = stored(client, "events", job)
    for event in events:
        assert event["specversion"] == "1.0" and event["subject"] == job.name
        assert event["type"].startswith("agent.") and event["time"] and event["source"]
    identifiers = [event["id"] for event in events]
    assert len(set(identifiers)) == len(identifiers)
    changes = [event["data"]["to"] for event in events if event["type"] == "agent.phase.changed"]
    assert changes == job.journal().phases()
    return [event["type"] for event in events]


def send(client, job, kind, text="", identifier=None):
    """Sends a command as anybody would, and waits until JetStream has it."""
    body = {"id": identifier or f"{kind}-{random.randrange(10**9)}", "kind": kind, "text": text}
    eventually("a stream for commands", lambda: client.stream_of(f"cmd.agent.{job.name}"))
    answer = client.request(f"cmd.agent.{job.name}", json.dumps(body).encode()).json()
    assert "seq" in answer, answer
    return body["id"]
