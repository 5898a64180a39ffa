"""A job's checkpoint as other programs read it, and what must hold of it whatever was killed and when."""

import contextlib
import hashlib
import json
import pathlib
import shutil
import sqlite3
import tempfile
from collections import Counter

# Failures that a provider does not charge for; after any other the answer may have been paid (JobState.fail).
FREE_FAILURES = {"authentication", "quota", "overflow", "invalid_request", "rate_limited", "overloaded"}

PHASES = {"STRATEGIC": {"STRATEGIC", "TACTICAL", "VERIFY"}, "TACTICAL": {"STRATEGIC"}, "VERIFY": {"STRATEGIC"}}
"""Each phase with those that may follow it. STRATEGIC follows itself once: as the opening."""

INTERRUPTED = "running when its process was killed"
STOPPED = "the process was told to stop while the command ran"


class Event:
    def __init__(self, seq, epoch, time, kind, body, output=None):
        self.seq, self.epoch, self.time, self.kind, self.body = seq, epoch, time, kind, json.loads(body)
        if output is not None:
            self.body["content"] = output
        self.row = (seq, epoch, time, kind, body)

    def __getitem__(self, name):
        return self.body[name]

    def get(self, name, default=None):
        return self.body.get(name, default)

    def __repr__(self):
        return f"{self.seq} {self.kind}"


def digests(database):
    """The digest that each event's row must have, by number (docs/CHECKPOINT_FORMAT.md)."""
    rows = database.execute("SELECT seq, epoch, ts, kind, schema_v, coalesce(blob, ''), body FROM event")
    return {row[0]: hashlib.sha256("\n".join(map(str, row)).encode()).digest()[:16] for row in map(tuple, rows)}


def forge(path, statement):
    """Changes a checkpoint as its writer would have: with digests that fit."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(statement)
        for seq, digest in digests(database).items():
            database.execute("UPDATE event SET digest = ? WHERE seq = ?", (digest, seq))
        database.commit()


class Journal:
    """All rows, read from a copy: a look must not be the one that recovers the WAL of a killed process."""

    def __init__(self, path):
        path = pathlib.Path(path)
        with tempfile.TemporaryDirectory() as folder:
            for suffix in ("", "-wal"):
                if (file := path.with_name(path.name + suffix)).exists():
                    shutil.copy(file, folder)
            database = sqlite3.connect(f"{folder}/{path.name}")
            database.row_factory = sqlite3.Row
            self.integrity = [row[0] for row in database.execute("PRAGMA integrity_check")]
            self.head = dict(database.execute("SELECT * FROM head").fetchone())
            self.spent = json.loads(self.head["spent"])
            self.events = [Event(*row) for row in database.execute(
                "SELECT seq, epoch, ts, kind, body, data FROM event LEFT JOIN blob ON sha256 = blob ORDER BY seq")]
            self.calls = [dict(row) for row in database.execute("SELECT * FROM call ORDER BY turn, ord")]
            self.requests = [dict(row) for row in database.execute("SELECT * FROM llm ORDER BY seq")]
            self.todos = [dict(row) for row in database.execute("SELECT * FROM todo ORDER BY ord")]
            self.forged = [seq for seq, digest in digests(database).items()
                           if database.execute("SELECT digest FROM event WHERE seq = ?", (seq,)).fetchone()[0] != digest]
            database.close()

    def of(self, kind):
        return [event for event in self.events if event.kind == kind]

    def phases(self):
        """The phases in the order in which they were entered."""
        return [event["to"] for event in self.of("phase_changed")]

    def results(self, tool=None):
        """What each finished call said, by call id."""
        tools = {row["call_id"]: row["tool"] for row in self.calls}
        return {event["call"]: event for event in self.of("call_finished") if tool in (None, tools[event["call"]])}

    def effects(self, name):
        """The bodies of one kind of effect, in order."""
        return [effect[name] for event in self.of("call_finished") for effect in event["effects"] if name in effect]

    # MARK: What must hold

    def check(self, before=None, model=None):
        """Raises AssertionError unless every invariant holds. `before`: the journal at an earlier moment."""
        assert self.integrity == ["ok"]
        assert self.forged == [], "a row is not what its digest says"
        assert [event.seq for event in self.events] == list(range(1, len(self.events) + 1)), "seq has a gap"
        assert self.head["seq"] == len(self.events)
        self.check_epochs()
        self.check_calls()
        self.check_phases()
        self.check_todos()
        self.check_spent()
        assert len(self.of("task_received")) <= 1, "the task was received twice"
        if before:
            kept = [event.row for event in self.events[:len(before.events)]]
            assert kept == [event.row for event in before.events], "what was committed is not as it was"
        if model:
            sent = Counter(request["position"] for request in model if "position" in request)
            asked = Counter(row["turn"] - 1 for row in self.requests)
            assert all(count <= asked[position] for position, count in sent.items()), \
                f"more requests than the journal knows: {sent} against {asked}"
            self.check_interruptions(model)

    def check_epochs(self):
        epochs = [event.epoch for event in self.events]
        assert epochs == sorted(epochs), "an epoch went back"
        first = [event for event, earlier in zip(self.events, [0, *epochs]) if event.epoch != earlier]
        assert [event.kind for event in first] == ["acquired"] * len(first), "an epoch did not begin with its owner"
        assert len(self.of("acquired")) == len(first), "two owners in an epoch"
        assert [event["resumed"] for event in first] == [False] * len(first[:1]) + [True] * len(first[1:])
        times = [event.time for event in self.events]
        assert times == sorted(times), "time went back"

    def check_calls(self):
        asked = [call for event in self.of("llm_done") for call in event["calls"]]
        assert [call["id"] for call in asked] == [row["call_id"] for row in self.calls]
        started = Counter(event["call"] for event in self.of("call_started"))
        finished = Counter(event["call"] for event in self.of("call_finished"))
        last_turn = max((row["turn"] for row in self.calls), default=0)
        for call, row in zip(asked, self.calls):
            name = f"call {call['id']} ({call['tool']})"
            assert finished[call["id"]] <= 1, f"{name} has two results"
            assert finished[call["id"]] == 1 or row["turn"] == last_turn, f"{name} was left without a result"
            assert call["isIdempotent"] or started[call["id"]] <= 1, f"{name} was run twice"
            outcome = next((e["outcome"] for e in self.of("call_finished") if e["call"] == call["id"]), None)
            state = outcome or ("started" if started[call["id"]] else "intent")
            assert row["state"] == state, f"{name}: the table says {row['state']}, the journal {state}"
            assert outcome != "interrupted" or not call["isIdempotent"], f"{name} could have been run again"
        assert set(started) | set(finished) <= {call["id"] for call in asked}

    def check_phases(self):
        changes = self.of("phase_changed")
        phase, number = "STRATEGIC", 1
        for index, change in enumerate(changes):
            assert change["from"] == phase, f"{change}: from {change['from']} while in {phase}"
            assert change["to"] in PHASES[phase] and (change["to"] != phase or index == 0), change.body
            number += 1 if index and change["to"] != "VERIFY" else 0
            phase = change["to"]
            assert change["number"] == number, change.body
        assert (self.head["phase"], self.head["phase_no"]) == (phase, number)

    def check_todos(self):
        todos = {}
        for event in self.of("call_finished"):
            for effect in event["effects"]:
                for staged in effect.get("todosStaged", {}).get("_0", []):
                    assert staged["id"] == f"t{len(todos) + 1}"
                    todos[staged["id"]] = staged["status"]
                if "todoUpdated" in effect:
                    todos[effect["todoUpdated"]["id"]] = effect["todoUpdated"]["status"]
        assert {row["id"]: row["status"] for row in self.todos} == todos

    def check_spent(self):
        steps = tokens_in = tokens_out = lost = 0
        states, pending = {}, None
        for event in self.events:
            if event.kind in ("acquired", "llm_intent") and pending:
                lost, states[pending.seq], pending = lost + pending["hold"], "lost", None
            if event.kind == "llm_intent":
                pending, states[event.seq] = event, "intent"
            elif event.kind == "llm_done":
                assert (event["turn"], event["attempt"]) == (pending["turn"], pending["attempt"])
                states[pending.seq], pending = "done", None
                steps += 1
                tokens_in += event["usage"]["input"]
                tokens_out += event["usage"]["output"]
            elif event.kind == "llm_failed":
                lost += 0 if event["kind"] in FREE_FAILURES else pending["hold"]
                states[pending.seq], pending = "failed", None
        counted = {name: self.spent.get(name, 0) for name in ("steps", "input_tokens", "output_tokens", "lost_tokens")}
        assert counted == {"steps": steps, "input_tokens": tokens_in, "output_tokens": tokens_out, "lost_tokens": lost}
        assert {row["seq"]: row["state"] for row in self.requests} == states
        assert sum(row["input_tokens"] or 0 for row in self.requests) == tokens_in
        assert sum(row["output_tokens"] or 0 for row in self.requests) == tokens_out

    def check_interruptions(self, model):
        """An interrupted call is told to the model once: at the position that follows it, in all requests of it."""
        expected = Counter(row["turn"] for row in self.calls if row["state"] == "interrupted")
        for request in model:
            if "position" not in request:
                continue
            text = request["last_text"]
            told = text.count(INTERRUPTED) + text.count(STOPPED)
            assert told == expected[request["position"]], f"position {request['position']}: told {told} times: {text}"
